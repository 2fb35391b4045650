import type { Bus } from '@signet/bus';
import { type Device, getDevice, identifyDevices, OperationError } from '@signet/contracts';

/** A device, by its name in its account. */
export type DeviceName = { readonly account: string; readonly deviceId: string };

/** The id of the one document that a collection has of a device. */
export function idOf({ account, deviceId }: DeviceName): string {
  return `${account}/${deviceId}`;
}

/** Whoever asks other services. */
export type Asks = { readonly bus: Pick<Bus, 'request'> };

/**
 * Rejects a mistyped device id, which would otherwise be stored under a name that no device has.
 * @throws OperationError `unknown-device`; `unavailable` where `bootstrap` does not answer
 */
export async function requireDevices(
  ctx: Asks,
  { account, deviceIds }: { readonly account: string; readonly deviceIds: readonly string[] },
): Promise<void> {
  const unknown = await findUnknown(ctx, { account, deviceIds });
  if (unknown.length > 0) throw unknownDevices(account, unknown);
}

/** Of these devices, those that the account does not have. */
export async function findUnknown(
  { bus }: Asks,
  { account, deviceIds }: { readonly account: string; readonly deviceIds: readonly string[] },
): Promise<string[]> {
  if (deviceIds.length === 0) return [];
  const { devices } = await bus.request(identifyDevices, { account, deviceIds: [...deviceIds] });
  const known = new Set(devices.map(({ deviceId }) => deviceId));
  return deviceIds.filter((deviceId) => !known.has(deviceId));
}

export function unknownDevices(account: string, unknown: readonly string[]): OperationError {
  const named = `${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ', …' : ''}`;
  const message = `deviceId: account "${account}" has no device ${named}`;
  return new OperationError('unknown-device', message, { field: 'deviceId' });
}

/** How long a device waits for what its record adds to the answer. */
const RECORD_DEADLINE_MS = 2000;

/** What `bootstrap` has on record of a device; undefined where it has nothing, or does not answer in time. */
export async function findRecord({ bus }: Asks, device: DeviceName): Promise<Device | undefined> {
  try {
    return await bus.request(getDevice, device, { deadlineMs: RECORD_DEADLINE_MS });
  } catch (error) {
    if (error instanceof OperationError) return undefined;
    throw error;
  }
}
