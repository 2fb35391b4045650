import type { Bus, Subscription } from '@signet/bus';
import {
  type DenyTarget,
  type DeviceQuery,
  denyDevices,
  liftDevices,
  OperationError,
} from '@signet/contracts';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import type { Intent } from '../domain/deny-state.ts';
import { operatorCause, operatorHold } from '../domain/operator-hold.ts';
import { answering } from './answering.ts';
import { fingerprintsOfDevices, queriedDevices } from './identify.ts';

type Deps = { readonly bus: Bus; readonly ledger: DenyLedger; readonly now: () => number };

/** One call for many devices: by their ids, a group, or what they have in common (F73). */
export async function serveDeviceGroups({ bus, ledger, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(denyDevices, (input) => {
      const hold = operatorHold(input, now());
      return answering(() => changeAll({ bus, ledger }, input, (target) => ({ do: 'deny', target, hold })));
    }),
    await bus.serve(liftDevices, (input) => {
      const cause = operatorCause(input.account);
      return answering(() => changeAll({ bus, ledger }, input, (target) => ({ do: 'lift', target, cause })));
    }),
  ];
}

/**
 * Devices that are named are changed before anybody is asked about them. Repeating the call changes nothing.
 * @throws OperationError `unknown-device` where a query fits no device; `unavailable` where bootstrap does not say which
 *   certificates the devices were made with: what they are named by is changed all the same
 */
async function changeAll(
  { bus, ledger }: Omit<Deps, 'now'>,
  { account, devices }: { readonly account: string; readonly devices: DeviceQuery },
  intent: (target: DenyTarget) => Intent,
): Promise<{ number: number; devices: number }> {
  const { deviceIds } = devices;
  if (deviceIds !== undefined) {
    const named = [...new Set(deviceIds)];
    await ledger.append(named.map((deviceId) => intent({ kind: 'device', account, deviceId })));
    const made = await fingerprintsOfDevices(bus, account, named);
    return { number: await ledger.append(made.map(intent)), devices: named.length };
  }
  let number = 0;
  let count = 0;
  for await (const targets of queriedDevices(bus, account, devices)) {
    number = Math.max(number, await ledger.append(targets.map(intent)));
    count += targets.filter(({ kind }) => kind === 'device').length;
  }
  if (count === 0)
    throw new OperationError('unknown-device', `devices: account "${account}" has none like that`, {
      field: 'devices',
    });
  return { number, devices: count };
}
