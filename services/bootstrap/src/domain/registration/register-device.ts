import { OperationError, signBootstrap, uuidv7 } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import { type AccountStates, DeviceRecord, type Devices } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { isSuspended } from '../account/account-settings.ts';
import { byDeviceId } from '../device/find-device.ts';
import { claim, manufacturedEvent } from '../device/transitions.ts';
import { RegistrationError } from '../refusals/errors.ts';

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

/**
 * @param fingerprint of the device that may have the id
 * @throws RegistrationError `device-id-taken` where the account has another such device
 */
export async function requireFreeId(
  devices: Pick<Devices, 'find'>,
  named: DeviceName,
  fingerprint?: string,
): Promise<void> {
  const found = await byDeviceId(devices, named.account, named.deviceId);
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
  ctx: Pick<Context, 'devices' | 'bus' | 'accountStates' | 'now'>,
  wanted: RegisteredDevice,
): Promise<{ readonly record: DeviceRecord; readonly chain: readonly string[] }> {
  const { account, deviceId, csr, model, group, by, more = {} } = wanted;
  await requireActiveAccount(ctx.accountStates, account);
  const { authorityId, certificate, chain } = await signCertificate(ctx, { account, csr, deviceId });
  const parsed = parseCertificatePem(certificate);
  const now = ctx.now();
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
    await ctx.devices.insert(record, [manufacturedEvent(made, now), ...events]);
    return { record, chain };
  } catch (cause) {
    if (!isDuplicate(cause)) throw cause;
    const earlier = await byDeviceId(ctx.devices, account, deviceId);
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

/** How long `est-ca` may take to sign, ms. */
export const SIGN_DEADLINE = { deadlineMs: 10_000 } as const;

/** The bootstrap certificate of a registered device, by the account's factory CA. */
async function signCertificate(
  { bus }: Pick<Context, 'bus'>,
  { account, ...item }: DeviceName & { readonly csr: string },
) {
  const { results, ...issuer } = await bus.request(signBootstrap, { account, items: [item] }, SIGN_DEADLINE);
  const [result] = results;
  if (result === undefined) throw new OperationError('internal', 'est-ca answered nothing');
  if ('error' in result)
    throw new RegistrationError('malformed-request', result.error.message, { field: 'csr' });
  return { ...issuer, certificate: result.certificate };
}
