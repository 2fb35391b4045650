import type { Bus, Subscription } from '@signet/bus';
import {
  type DenyTarget,
  type DeviceQuery,
  denyDevices,
  liftDevices,
  OperationError,
} from '@signet/contracts';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import { type Intent, operatorCause } from '../domain/deny-state.ts';
import { operatorHold } from '../domain/operator-hold.ts';
import { answering } from './answering.ts';
import { fingerprintsOfDevices, foreignAmong, queriedDevices, unknownOf } from './identify.ts';

type Deps = { readonly bus: Bus; readonly ledger: DenyLedger; readonly now: () => number };

/** One call for many devices: by their ids, a group, or what they have in common (F73). */
export async function serveDeviceGroups({ bus, ledger, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(denyDevices, (input) => {
      const hold = operatorHold(input, now());
      const deny = (intents: readonly Intent[]) => denyOwn({ bus, ledger }, input.account, intents);
      return answering(() =>
        changeAll({ bus, append: deny }, input, (target) => ({ do: 'deny', target, hold })),
      );
    }),
    await bus.serve(liftDevices, (input) => {
      const cause = operatorCause(input.account);
      const append = (intents: readonly Intent[]) => ledger.append(intents);
      return answering(() => changeAll({ bus, append }, input, (target) => ({ do: 'lift', target, cause })));
    }),
  ];
}

/**
 * Devices that are named are changed before anybody is asked about them. Repeating the call changes nothing.
 * @throws OperationError `unknown-device` where a query fits no device; `unavailable` where bootstrap does not say which
 *   certificates the devices were made with: what they are named by is changed all the same
 */
async function changeAll(
  { bus, append }: { readonly bus: Bus; readonly append: (intents: readonly Intent[]) => Promise<number> },
  { account, devices }: { readonly account: string; readonly devices: DeviceQuery },
  intent: (target: DenyTarget) => Intent,
): Promise<{ number: number; devices: number; unknown?: string[] }> {
  const { deviceIds } = devices;
  if (deviceIds !== undefined) {
    const named = [...new Set(deviceIds)];
    await append(named.map((deviceId) => intent({ kind: 'device', account, deviceId })));
    const made = await fingerprintsOfDevices(bus, account, named);
    const number = await append(made.map(intent));
    // as many certificates as names: all are known
    const unknown = made.length < named.length ? await unknownOf(bus, account, named) : [];
    return { number, devices: named.length, ...(unknown.length === 0 ? {} : { unknown }) };
  }
  let number = 0;
  let count = 0;
  for await (const targets of queriedDevices(bus, account, devices)) {
    number = Math.max(number, await append(targets.map(intent)));
    count += targets.filter(({ kind }) => kind === 'device').length;
  }
  if (count === 0)
    throw new OperationError('unknown-device', `devices: account "${account}" has none like that`, {
      field: 'devices',
    });
  return { number, devices: count };
}

/**
 * Denies, then looks whose the devices are: one that changed hands meanwhile is not its former account's to deny. One that
 * changes hands later is found denied.
 */
async function denyOwn(
  { bus, ledger }: Omit<Deps, 'now'>,
  account: string,
  intents: readonly Intent[],
): Promise<number> {
  const number = await ledger.append(intents);
  const foreign = await foreignAmong(
    bus,
    account,
    intents.map(({ target }) => target),
  );
  if (foreign.length === 0) return number;
  const cause = operatorCause(account);
  return ledger.append(foreign.map((target) => ({ do: 'lift', target, cause })));
}
