import { uuidv7 } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { StoreError } from '@signet/store';
import { type AccountStates, DeviceRecord, type Devices } from '../../collections.ts';
import { isSuspended } from '../account/account-settings.ts';
import { claim, manufacturedEvent } from '../device/transitions.ts';
import { RegistrationError } from '../errors.ts';

/** Signs a bootstrap certificate with the account's factory CA; `est-ca` does. */
export type SignBootstrap = (wanted: {
  readonly account: string;
  /** PKCS#10 in PEM. */
  readonly csr: string;
  readonly deviceId: string;
}) => Promise<{
  readonly authorityId: string;
  readonly certificate: string;
  readonly chain: readonly string[];
}>;

/** A device that is registered: made and claimed in one. */
export type RegisteredDevice = {
  readonly account: string;
  readonly deviceId: string;
  readonly csr: string;
  readonly model?: string | undefined;
  readonly group?: string | undefined;
  readonly by: string;
  /** What is recorded besides. */
  readonly more?: Pick<DeviceRecord, 'name' | 'production' | 'tokenRegistration'>;
};

type DeviceName = { readonly account: string; readonly deviceId: string };

export async function findDevice(devices: Pick<Devices, 'find'>, { account, deviceId }: DeviceName) {
  const page = await devices.find({ index: 'byAccount', equals: { account, deviceId }, limit: 1 });
  return page.items[0];
}

/**
 * @param fingerprint of the device that may have the id
 * @throws RegistrationError `device-id-taken` where the account has another such device
 */
export async function requireFreeId(
  devices: Pick<Devices, 'find'>,
  named: DeviceName,
  fingerprint?: string,
): Promise<void> {
  const found = await findDevice(devices, named);
  if (found !== undefined && found.id !== fingerprint) throw deviceIdTaken(named);
}

/** @throws RegistrationError `account-suspended` */
export async function requireActiveAccount(
  states: Pick<AccountStates, 'get'>,
  account: string,
): Promise<void> {
  if (await isSuspended(states, account))
    throw new RegistrationError('account-suspended', `account: "${account}" is suspended`);
}

/**
 * The record of a device, claimed from the start, over a bootstrap certificate for the CSR's key: whatever certificate
 * its protocol gives it, operators see, block and retire it like any other. One commit; the same key may come again.
 * @throws RegistrationError `device-id-taken` where it is another key's
 */
export async function registerDevice(
  deps: {
    readonly devices: Pick<Devices, 'insert' | 'find'>;
    readonly signBootstrap: SignBootstrap;
    readonly accountStates: Pick<AccountStates, 'get'>;
    readonly now: () => number;
  },
  wanted: RegisteredDevice,
): Promise<{ readonly record: DeviceRecord; readonly chain: readonly string[] }> {
  const { account, deviceId, csr, model, group, by, more = {} } = wanted;
  await requireActiveAccount(deps.accountStates, account);
  const { authorityId, certificate, chain } = await deps.signBootstrap({ account, csr, deviceId });
  const parsed = parseCertificatePem(certificate);
  const now = deps.now();
  const made = DeviceRecord.parse({
    id: parsed.fingerprint,
    deviceId,
    factoryAccount: account,
    deviceSerialNumber: deviceId,
    model,
    certificate,
    certificateSerial: parsed.serialNumber,
    publicKeyHash: parsed.publicKeyHash,
    authorityId,
    made: uuidv7(now),
    manufacturedAt: new Date(now).toISOString(),
    state: 'manufactured',
    ...more,
  } satisfies Partial<Record<keyof DeviceRecord, unknown>>);
  const { document: record = made, events = [] } = claim(made, { account, group, by, now }) ?? {};
  try {
    await deps.devices.insert(record, [manufacturedEvent(made, now), ...events]);
    return { record, chain };
  } catch (cause) {
    if (!(cause instanceof StoreError && cause.code === 'duplicate')) throw cause;
    const earlier = await findDevice(deps.devices, wanted);
    if (earlier === undefined || earlier.publicKeyHash !== parsed.publicKeyHash)
      throw deviceIdTaken(wanted, cause);
    return { record: earlier, chain };
  }
}

function deviceIdTaken({ account, deviceId }: DeviceName, cause?: unknown): RegistrationError {
  return new RegistrationError(
    'device-id-taken',
    `deviceId: account "${account}" has a device "${deviceId}", or made one with this serial number`,
    { field: 'deviceId', cause },
  );
}
