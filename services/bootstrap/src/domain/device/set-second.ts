import type { Certificate } from '@signet/pki';
import { StoreError } from '@signet/store';
import { BootstrapError } from './bootstrap-error.ts';
import type { DeviceRecord } from './device-record.ts';
import type { Devices } from './find-device.ts';
import { requireVisible, secondIdentityOf, withoutSecond } from './ownership.ts';

/**
 * Makes a certificate the second identity of a device, for as long as `account` has the device. Repeating it changes
 * nothing. One that counts by now is left as it is, or replaced where `replaces` says so.
 * @throws BootstrapError `unknown-device` where the account does not have it, `identity-taken` where the certificate is
 * that of another device
 */
export async function setSecondIdentity(
  devices: Pick<Devices, 'get' | 'find' | 'update'>,
  id: string,
  wanted: {
    readonly account: string;
    readonly certificate: Pick<Certificate, 'fingerprint' | 'authorityKeyId' | 'serialNumber'>;
    readonly replaces: boolean;
  },
): Promise<DeviceRecord> {
  const { account, certificate, replaces } = wanted;
  const { fingerprint: secondFingerprint, authorityKeyId, serialNumber } = certificate;
  await requireNoDevice(devices, secondFingerprint);
  const set = () =>
    devices.update(id, (current) => {
      requireVisible(current, account, 'fingerprint');
      const counting = secondIdentityOf(current);
      if (counting === secondFingerprint || (counting !== undefined && !replaces)) return undefined;
      const issued =
        authorityKeyId === undefined ? {} : { secondIssuerKeyId: authorityKeyId, secondSerial: serialNumber };
      return {
        document: { ...withoutSecond(current), secondFingerprint, ...issued, secondSetBy: account },
      };
    });
  try {
    return await set();
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
  await dropStale(devices, secondFingerprint);
  try {
    return await set();
  } catch (error) {
    throw isDuplicate(error) ? identityTaken() : error;
  }
}

/** A certificate that the factory log has is a device by itself, and nobody's second. @throws BootstrapError `identity-taken` */
export async function requireNoDevice(devices: Pick<Devices, 'get'>, fingerprint: string): Promise<void> {
  if ((await devices.get(fingerprint)) !== undefined) throw identityTaken();
}

/** What a former owner set may bear the same certificate; it counts for nothing, and is in nobody's way. */
async function dropStale(
  devices: Pick<Devices, 'find' | 'update'>,
  secondFingerprint: string,
): Promise<void> {
  const { items } = await devices.find({ index: 'bySecond', equals: { secondFingerprint }, limit: 1 });
  for (const { id } of items)
    await devices.update(id, (current) =>
      current.secondFingerprint === secondFingerprint && secondIdentityOf(current) === undefined
        ? { document: withoutSecond(current) }
        : undefined,
    );
}

function isDuplicate(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'duplicate';
}

function identityTaken(): BootstrapError {
  return new BootstrapError(
    'identity-taken',
    'certificate: is that of a device that is known already',
    'certificate',
  );
}
