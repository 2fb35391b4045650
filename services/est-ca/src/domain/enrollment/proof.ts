import type { DeviceState, RefusalCode } from '@signet/contracts';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { EnrollmentError } from '../enrollment-error.ts';

/** What the keeper of devices says of one; undefined where the account has no such device. */
export type FindDevice = (
  query:
    | { readonly account: string; readonly fingerprint: string }
    | { readonly account: string; readonly deviceId: string },
) => Promise<
  { readonly deviceId: string; readonly claimed: boolean; readonly state: DeviceState } | undefined
>;

const unfit: Partial<Record<DeviceState, RefusalCode>> = { blocked: 'blocked', retired: 'retired' };

/** The device that an account claimed by this bootstrap certificate. @throws EnrollmentError `unclaimed`, `blocked`, `retired` */
export async function claimedDevice(
  findDevice: FindDevice,
  account: string,
  fingerprint: string,
): Promise<string> {
  const device = await findDevice({ account, fingerprint });
  if (device?.claimed !== true)
    throw new EnrollmentError('unclaimed', `certificate: account "${account}" has not claimed its device`);
  requireFit(device);
  return device.deviceId;
}

/** That a device that names itself is not shut out; one that nobody knows is not. @throws EnrollmentError `blocked`, `retired` */
export async function requireNotShutOut(
  findDevice: FindDevice,
  device: { readonly account: string; readonly deviceId: string },
): Promise<void> {
  const found = await findDevice(device);
  if (found !== undefined) requireFit(found);
}

function requireFit({ deviceId, state }: { readonly deviceId: string; readonly state: DeviceState }): void {
  const code = unfit[state];
  if (code !== undefined) throw new EnrollmentError(code, `device: "${deviceId}" is ${state}`);
}

/** The record of the certificate that is renewed. @throws EnrollmentError `unknown-device`, `revoked` */
export async function currentRecord(
  certificates: Pick<Certificates, 'get'>,
  { serialNumber, fingerprint }: { readonly serialNumber: string; readonly fingerprint: string },
): Promise<CertificateRecord> {
  const record = await certificates.get(serialNumber);
  if (record === undefined || record.fingerprint !== fingerprint)
    throw new EnrollmentError(
      'unknown-device',
      `certificate: ${serialNumber} is not on the record of issued certificates`,
    );
  requireInForce(record);
  return record;
}

/** @throws EnrollmentError `revoked` */
export function requireInForce(record: CertificateRecord | undefined): void {
  if (record?.revokedAt === undefined) return;
  throw new EnrollmentError(
    'revoked',
    `certificate: ${record.serialNumber} was revoked at ${record.revokedAt} (${record.revocationReason})`,
  );
}
