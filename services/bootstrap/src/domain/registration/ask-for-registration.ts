import { newEvent } from '@signet/contracts';
import { isDuplicate } from '@signet/store';
import type { CertificateDocument, RegistrationDocument } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { optional } from '../device/transitions.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { requireActiveAccount, requireFreeId } from './register-device.ts';
import { requireMayRegister } from './registration-certificate.ts';
import { isExpired, requestFacts, requestIdOf, wasReset } from './registration-request.ts';
import { withinQuota, withWaitingNumber } from './request-limits.ts';

export type AskContext = Pick<
  Context,
  'registrations' | 'devices' | 'accountStates' | 'registrationWaitMs' | 'inTurn' | 'now'
>;

/** A device that asks; the account is the certificate's. */
export type DeviceRequest = {
  readonly certificate: CertificateDocument;
  readonly deviceId: string;
  readonly protocol: RegistrationDocument['protocol'];
  readonly key?: { readonly publicKeyHash: string; readonly keyType: string } | undefined;
  readonly details: Readonly<Record<string, string>>;
  readonly group?: string | undefined;
  readonly address?: string | undefined;
};

/**
 * The registration of a device: the one that it asked for before, or a new one that waits for an operator from now on.
 * An expired request waits again.
 * @throws RegistrationError `bad-identity`, `account-suspended`, `another-key` while another key's stands,
 * `device-id-taken`, `limit-reached`, `request-limit-reached`
 */
export async function askForRegistration(
  ctx: AskContext,
  asked: DeviceRequest,
): Promise<RegistrationDocument> {
  const { certificate, deviceId } = asked;
  requireMayRegister(certificate, deviceId);
  await requireActiveAccount(ctx.accountStates, certificate.account);
  const request = await openRequest(ctx, asked);
  if (request !== undefined && !(await needsApproval(ctx, request))) return request;
  return ctx.inTurn(certificate.id, () => newRequest(ctx, asked));
}

/** A device that was reset needs another approval: anyone with the certificate of its image could ask in its name. */
async function needsApproval(
  { devices, now }: Pick<AskContext, 'devices' | 'now'>,
  document: RegistrationDocument,
): Promise<boolean> {
  const { protocol, fingerprint } = document;
  if (protocol !== 'flotta' || fingerprint === undefined || !isOver(document, now())) return false;
  return wasReset(document, await devices.get(fingerprint));
}

function isOver(document: RegistrationDocument, now: number): boolean {
  return document.state === 'issued' || isExpired(document, now);
}

/** The request that the device made before, unless it expired. */
async function openRequest(ctx: AskContext, asked: DeviceRequest): Promise<RegistrationDocument | undefined> {
  const request = await requestOfKey(ctx, asked);
  return request === undefined || isExpired(request, ctx.now()) ? undefined : request;
}

async function newRequest(ctx: AskContext, asked: DeviceRequest): Promise<RegistrationDocument> {
  const { certificate, deviceId } = asked;
  const request = await requestOfKey(ctx, asked);
  if (request !== undefined && (await needsApproval(ctx, request))) return reopenRequest(ctx, asked, request);
  if (request !== undefined && !isExpired(request, ctx.now())) return request;
  await requireFreeId(ctx.devices, { account: certificate.account, deviceId });
  try {
    return await withinQuota(ctx, certificate, async (waitingNumber) => {
      // what another replica did of it meanwhile stays, and the insert finds it
      if (request !== undefined)
        await ctx.registrations.remove(request.id, (current) => isExpired(current, ctx.now()));
      const document = { ...requestDocument(ctx, asked), waitingNumber };
      await ctx.registrations.insert(document, [requestedEvent(document, ctx.now())]);
      return document;
    });
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const first = await requestOfKey(ctx, asked);
    if (first === undefined) throw error;
    return first;
  }
}

/** The registration of a device that was reset waits again, under the number that it has already. */
async function reopenRequest(
  ctx: AskContext,
  asked: DeviceRequest,
  { id }: RegistrationDocument,
): Promise<RegistrationDocument> {
  const { details, group, address, askedAt, expiresAt } = requestDocument(ctx, asked);
  const fresh = { details, askedAt, expiresAt, ...optional('group', group), ...optional('address', address) };
  return withWaitingNumber(ctx, asked.certificate, (waitingNumber) =>
    ctx.registrations.update(id, (current) => {
      if (!isOver(current, ctx.now())) return undefined;
      const { decidedAt: _at, decidedBy: _by, reason: _reason, ...rest } = current;
      const document: RegistrationDocument = { ...rest, ...fresh, state: 'waiting', waitingNumber };
      return { document, events: [requestedEvent(document, ctx.now())] };
    }),
  );
}

/** The request of the same key, if there is one. Another key's request is an error unless it was declined or expired. */
async function requestOfKey(
  { registrations, now }: AskContext,
  { certificate: { account }, deviceId, key }: DeviceRequest,
): Promise<RegistrationDocument | undefined> {
  const { items } = await registrations.find({ index: 'byDevice', equals: { account, deviceId }, limit: 1 });
  const [found] = items;
  if (found === undefined) return undefined;
  if (found.id === requestIdOf({ account, deviceId, publicKeyHash: key?.publicKeyHash })) return found;
  const isClosed = (request: RegistrationDocument) =>
    request.state === 'declined' || isExpired(request, now());
  if (isClosed(found)) {
    await registrations.remove(found.id, isClosed);
    return undefined;
  }
  throw new RegistrationError(
    'another-key',
    `csr: the registration of "${deviceId}" (${found.id}, ${found.state}) was asked for with another key`,
    { field: 'csr' },
  );
}

function requestDocument(
  { registrationWaitMs, now }: AskContext,
  asked: DeviceRequest,
): RegistrationDocument {
  const { certificate, deviceId, protocol, key, details, group, address } = asked;
  const { account } = certificate;
  const at = now();
  return {
    id: requestIdOf({ account, deviceId, publicKeyHash: key?.publicKeyHash }),
    account,
    deviceId,
    protocol,
    certificateId: certificate.id,
    registrationCertificate: certificate.name,
    ...key,
    details: { ...details },
    ...(group === undefined ? {} : { group }),
    ...(address === undefined ? {} : { address }),
    state: 'waiting',
    askedAt: new Date(at).toISOString(),
    expiresAt: new Date(at + registrationWaitMs).toISOString(),
  };
}

function requestedEvent(document: RegistrationDocument, now: number) {
  const { account, deviceId: subject, details } = document;
  const data = { ...requestFacts(document), details };
  return newEvent('DEVICE_REGISTRATION_REQUESTED', { account, subject, data, time: now });
}
