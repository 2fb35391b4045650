import type {
  AccountStates,
  DeviceRecord,
  Devices,
  RegistrationDocument,
  Registrations,
} from '../../collections.ts';
import { RegistrationError } from '../errors.ts';
import { registerDevice, type SignBootstrap } from './register-device.ts';

export type CollectDeps = {
  readonly registrations: Pick<Registrations, 'update'>;
  readonly devices: Pick<Devices, 'get' | 'insert' | 'find'>;
  readonly signBootstrap: SignBootstrap;
  readonly accountStates: Pick<AccountStates, 'get'>;
  readonly now: () => number;
};

/** What comes of asking: to wait, or the bootstrap certificate with its issuers. */
export type Collected =
  | { readonly kind: 'waiting'; readonly document: RegistrationDocument }
  | { readonly kind: 'issued'; readonly record: DeviceRecord; readonly chain: readonly string[] };

/**
 * What the device of a registration gets: its bootstrap certificate once it is approved, the same one again until it was
 * handed over. From then on its own certificate is its way in.
 * @throws RegistrationError `declined`, `blocked`, `retired`, `device-id-taken`
 */
export async function collectBootstrap(
  deps: CollectDeps,
  document: RegistrationDocument,
  csr: string,
): Promise<Collected> {
  if (document.state === 'waiting') return { kind: 'waiting', document };
  requireNotDeclined(document);
  if (document.state === 'issued') {
    const record = await requireRegisteredDevice(deps.devices, document);
    if (record.state !== 'claimed') throw alreadyRegistered(document);
    return { kind: 'issued', record, chain: document.chain ?? [] };
  }
  const { record, chain } = await registerDevice(deps, { ...deviceOfRegistration(document), csr });
  await deps.registrations.update(document.id, (current) =>
    current.state === 'approved'
      ? { document: issuedRegistration(current, record, chain, deps.now()) }
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
