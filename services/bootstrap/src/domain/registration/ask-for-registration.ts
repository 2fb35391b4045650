import { newEvent } from '@signet/contracts';
import { StoreError } from '@signet/store';
import type {
  AccountStates,
  CertificateDocument,
  Devices,
  RegistrationDocument,
  Registrations,
} from '../../collections.ts';
import { optional } from '../device/transitions.ts';
import { RegistrationError } from '../errors.ts';
import { requireActiveAccount, requireFreeId } from './register-device.ts';
import { requireMayRegister } from './registration-certificate.ts';
import { isExpired, requestFacts, requestIdOf, wasReset } from './registration-request.ts';
import { withinQuota, withWaitingNumber } from './request-limits.ts';

export type AskDeps = {
  readonly registrations: Registrations;
  readonly devices: Pick<Devices, 'get' | 'find'>;
  readonly accountStates: Pick<AccountStates, 'get'>;
  /** How long a request waits for an operator, ms. */
  readonly waitMs: number;
  /** One at a time of those with the same key, so that they do not race for one number; others do no harm. */
  readonly inTurn: <T>(key: string, step: () => Promise<T>) => Promise<T>;
  readonly now: () => number;
};

/** A device that asks; the account is the certificate's. */
export type Asked = {
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
 * A request that expired waits anew.
 * @throws RegistrationError `bad-identity`, `account-suspended`, `another-key` while another key's stands,
 * `device-id-taken`, `limit-reached`, `request-limit-reached`
 */
export async function askForRegistration(deps: AskDeps, asked: Asked): Promise<RegistrationDocument> {
  const { certificate, deviceId } = asked;
  requireMayRegister(certificate, deviceId);
  await requireActiveAccount(deps.accountStates, certificate.account);
  const standing = await openRequest(deps, asked);
  if (standing !== undefined && !(await needsApproval(deps, standing))) return standing;
  return deps.inTurn(certificate.id, () => newRequest(deps, asked));
}

/** A device that was reset is approved anew: whoever holds the certificate of the image might ask in its name. */
async function needsApproval(
  { devices, now }: Pick<AskDeps, 'devices' | 'now'>,
  document: RegistrationDocument,
): Promise<boolean> {
  const { protocol, fingerprint } = document;
  if (protocol !== 'flotta' || fingerprint === undefined || !isOver(document, now())) return false;
  return wasReset(document, await devices.get(fingerprint));
}

function isOver(document: RegistrationDocument, now: number): boolean {
  return document.state === 'issued' || isExpired(document, now);
}

/** The request that stands, unless it expired. */
async function openRequest(deps: AskDeps, asked: Asked): Promise<RegistrationDocument | undefined> {
  const standing = await requestOfKey(deps, asked);
  return standing === undefined || isExpired(standing, deps.now()) ? undefined : standing;
}

async function newRequest(deps: AskDeps, asked: Asked): Promise<RegistrationDocument> {
  const { certificate, deviceId } = asked;
  const standing = await requestOfKey(deps, asked);
  if (standing !== undefined && (await needsApproval(deps, standing)))
    return reopenRequest(deps, asked, standing);
  if (standing !== undefined && !isExpired(standing, deps.now())) return standing;
  await requireFreeId(deps.devices, { account: certificate.account, deviceId });
  try {
    return await withinQuota(deps, certificate, async (waitingNumber) => {
      // what another replica did of it meanwhile stays, and the insert finds it
      if (standing !== undefined)
        await deps.registrations.remove(standing.id, (current) => isExpired(current, deps.now()));
      const document = { ...requestDocument(deps, asked), waitingNumber };
      await deps.registrations.insert(document, [requestedEvent(document, deps.now())]);
      return document;
    });
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
    const first = await requestOfKey(deps, asked);
    if (first === undefined) throw error;
    return first;
  }
}

/** The registration of a device that was reset waits again, and keeps its number among those of its certificate. */
async function reopenRequest(
  deps: AskDeps,
  asked: Asked,
  { id }: RegistrationDocument,
): Promise<RegistrationDocument> {
  const { details, group, address, askedAt, expiresAt } = requestDocument(deps, asked);
  const fresh = { details, askedAt, expiresAt, ...optional('group', group), ...optional('address', address) };
  return withWaitingNumber(deps, asked.certificate, (waitingNumber) =>
    deps.registrations.update(id, (current) => {
      if (!isOver(current, deps.now())) return undefined;
      const { decidedAt: _at, decidedBy: _by, reason: _reason, ...rest } = current;
      const document: RegistrationDocument = { ...rest, ...fresh, state: 'waiting', waitingNumber };
      return { document, events: [requestedEvent(document, deps.now())] };
    }),
  );
}

/** The request of the same key, or nothing. One of another key stands in the way unless it was declined or expired. */
async function requestOfKey(
  { registrations, now }: AskDeps,
  { certificate: { account }, deviceId, key }: Asked,
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

function requestDocument({ waitMs, now }: AskDeps, asked: Asked): RegistrationDocument {
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
    expiresAt: new Date(at + waitMs).toISOString(),
  };
}

function requestedEvent(document: RegistrationDocument, now: number) {
  const { account, deviceId: subject, details } = document;
  const data = { ...requestFacts(document), details };
  return newEvent('DEVICE_REGISTRATION_REQUESTED', { account, subject, data, time: now });
}
