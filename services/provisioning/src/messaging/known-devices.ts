import type { Bus } from '@signet/bus';
import { identifyDevices, OperationError } from '@signet/contracts';

/**
 * A device that is mistyped is reported, rather than kept as a name that nobody bears.
 * @throws OperationError `unknown-device`
 */
export async function requireDevices(bus: Bus, account: string, deviceIds: readonly string[]): Promise<void> {
  const unknown = await unknownOf(bus, account, deviceIds);
  if (unknown.length > 0) throw unknownDevices(account, unknown);
}

/** The devices that the account does not have, of those that are named. */
export async function unknownOf(bus: Bus, account: string, deviceIds: readonly string[]): Promise<string[]> {
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
