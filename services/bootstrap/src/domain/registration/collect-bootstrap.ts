import type { DeviceRecord, Devices, RegistrationDocument } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { type AskContext, askForRegistration } from './ask-for-registration.ts';
import { deviceIdOf, readCsr } from './csr.ts';
import { registerDevice } from './register-device.ts';
import { requireActiveCertificate, trustAnchorsOf } from './registration-certificate.ts';

type CollectContext = Pick<Context, 'registrations' | 'devices' | 'bus' | 'accountStates' | 'now'>;

/** The answer: wait, or the bootstrap certificate with its issuers. */
export type Collected =
  | { readonly kind: 'waiting'; readonly document: RegistrationDocument }
  | { readonly kind: 'issued'; readonly record: DeviceRecord; readonly chain: readonly string[] };

/**
 * What the device of a registration gets: its bootstrap certificate once it is approved, the same one again until it was
 * handed off. From then on it uses its own certificate.
 * @throws RegistrationError `declined`, `blocked`, `retired`, `device-id-taken`
 */
export async function collectBootstrap(
  ctx: CollectContext,
  document: RegistrationDocument,
  csr: string,
): Promise<Collected> {
  if (document.state === 'waiting') return { kind: 'waiting', document };
  requireNotDeclined(document);
  if (document.state === 'issued') {
    const record = await requireRegisteredDevice(ctx.devices, document);
    if (record.state !== 'claimed') throw alreadyRegistered(document);
    return { kind: 'issued', record, chain: document.chain ?? [] };
  }
  const { record, chain } = await registerDevice(ctx, { ...deviceOfRegistration(document), csr });
  await ctx.registrations.update(document.id, (current) =>
    current.state === 'approved'
      ? { document: issuedRegistration(current, record, chain, ctx.now()) }
      : undefined,
  );
  return { kind: 'issued', record, chain };
}

/** What the record of the device takes from its registration. */
export function deviceOfRegistration({ account, deviceId, group, decidedBy, details }: RegistrationDocument) {
  const { model } = details;
  return { account, deviceId, group, by: decidedBy ?? 'registration', model: model?.slice(0, 128) };
}

/** The registration with the device that came of it. */
export function issuedRegistration(
  document: RegistrationDocument,
  record: DeviceRecord,
  chain: readonly string[],
  now: number,
): RegistrationDocument {
  const issuedAt = new Date(now).toISOString();
  return { ...document, state: 'issued', fingerprint: record.id, chain: [...chain], issuedAt };
}

export function requireNotDeclined({ state, decidedAt, reason }: RegistrationDocument): void {
  if (state !== 'declined') return;
  throw new RegistrationError('declined', `registration: declined at ${decidedAt}: ${reason}`);
}

/**
 * The device that came of a registration, if it still is the account's.
 * @throws RegistrationError `blocked`, `retired`, `device-id-taken`
 */
export async function requireRegisteredDevice(
  devices: Pick<Devices, 'get'>,
  document: RegistrationDocument,
): Promise<DeviceRecord> {
  const record = await devices.get(document.fingerprint ?? '');
  if (record === undefined || record.account !== document.account) throw alreadyRegistered(document);
  const { state, reason = 'no reason given' } = record;
  if (state === 'blocked' || state === 'retired')
    throw new RegistrationError(state, `device: "${document.deviceId}" is ${state}: ${reason}`);
  return record;
}

/** The registration certificate is of no more use for this device. */
export function alreadyRegistered({ deviceId, issuedAt }: RegistrationDocument): RegistrationError {
  return new RegistrationError(
    'device-id-taken',
    `deviceId: "${deviceId}" was registered at ${issuedAt}; only its own certificate speaks for it now`,
    { field: 'deviceId' },
  );
}

/** The holder of a registration certificate, which speaks for no device by itself. */
export type Registrant = {
  readonly account: string;
  /** Of the registration certificate. */
  readonly fingerprint: string;
  readonly address: string;
};

/**
 * `POST /v1/register`: files the registration of a device, or gives its bootstrap certificate once it is approved.
 * @throws RegistrationError
 */
export async function registerByCertificate(
  ctx: CollectContext & AskContext & Pick<Context, 'certificates' | 'trust'>,
  registrant: Registrant,
  request: {
    readonly csr: string;
    readonly deviceId?: string | undefined;
    readonly group?: string | undefined;
    readonly details?: Readonly<Record<string, string>> | undefined;
  },
): Promise<Collected & { readonly trustAnchors: readonly string[] }> {
  const certificate = await requireActiveCertificate(ctx.certificates, registrant);
  const csr = readCsr(request.csr);
  const { publicKeyHash, keyType } = csr;
  const document = await askForRegistration(ctx, {
    certificate,
    deviceId: deviceIdOf(csr, request.deviceId),
    protocol: 'signet',
    key: { publicKeyHash, keyType },
    details: request.details ?? {},
    group: request.group,
    address: registrant.address,
  });
  const collected = await collectBootstrap(ctx, document, request.csr);
  return { ...collected, trustAnchors: trustAnchorsOf(ctx, registrant.account) };
}
