import type { DeviceState, RefusalCode } from '@signet/contracts';
import { EnrollmentError } from './enrollment-error.ts';

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
