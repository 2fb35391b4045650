import {
  type denyDevices as DenyDevices,
  type DenyTarget,
  type liftDevices as LiftDevices,
  OperationError,
  type OperationOutput,
  type ParsedInput,
} from '@signet/contracts';
import { type Intent, operatorCause, operatorHold } from '../denial/deny-state.ts';
import {
  type Asks,
  findUnknown,
  fingerprintsOfDevices,
  foreignAmong,
  queriedDevices,
} from '../devices/identify.ts';
import type { DenyContext } from './targets.ts';

type Append = (intents: readonly Intent[]) => Promise<number>;

/** An operator denies many devices: by their ids, a group, or what they have in common (F73). @throws as {@link changeAll} */
export function denyDevices(
  ctx: DenyContext,
  input: ParsedInput<typeof DenyDevices>,
): Promise<OperationOutput<typeof DenyDevices>> {
  const hold = operatorHold(input, ctx.now());
  const append: Append = (intents) => denyOwned(ctx, input.account, intents);
  return changeAll(ctx, append, input, (target) => ({ do: 'deny', target, hold }));
}

/** An operator lifts what operators of the account denied of many devices. @throws as {@link changeAll} */
export function liftDevices(
  ctx: DenyContext,
  input: ParsedInput<typeof LiftDevices>,
): Promise<OperationOutput<typeof LiftDevices>> {
  const cause = operatorCause(input.account);
  const append: Append = (intents) => ctx.ledger.append(intents);
  return changeAll(ctx, append, input, (target) => ({ do: 'lift', target, cause }));
}

/**
 * Devices that are named are changed before anybody is asked about them. Repeating the call changes nothing.
 * @throws OperationError `unknown-device` where a query finds no device; `unavailable` where `bootstrap` does not say which
 *   certificates the devices were made with: what they are named by is changed anyway
 */
async function changeAll(
  ctx: Asks,
  append: Append,
  { account, devices }: Pick<ParsedInput<typeof LiftDevices>, 'account' | 'devices'>,
  intent: (target: DenyTarget) => Intent,
): Promise<{ number: number; devices: number; unknown?: string[] }> {
  const { deviceIds } = devices;
  if (deviceIds !== undefined) {
    const named = [...new Set(deviceIds)];
    await append(named.map((deviceId) => intent({ kind: 'device', account, deviceId })));
    const made = await fingerprintsOfDevices(ctx, account, named);
    const number = await append(made.map(intent));
    // as many certificates as names: all are known
    const unknown = made.length < named.length ? await findUnknown(ctx, account, named) : [];
    return { number, devices: named.length, ...(unknown.length === 0 ? {} : { unknown }) };
  }
  let number = 0;
  let count = 0;
  for await (const targets of queriedDevices(ctx, account, devices)) {
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
 * Denies, then looks whose the devices are: a device that changed hands meanwhile is not its former account's to deny. One
 * that changes hands later is found denied.
 */
async function denyOwned(ctx: DenyContext, account: string, intents: readonly Intent[]): Promise<number> {
  const number = await ctx.ledger.append(intents);
  const targets = intents.map(({ target }) => target);
  const foreign = await foreignAmong(ctx, account, targets);
  if (foreign.length === 0) return number;
  const cause = operatorCause(account);
  return ctx.ledger.append(foreign.map((target) => ({ do: 'lift', target, cause })));
}
