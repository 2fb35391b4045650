import {
  type DenyTarget,
  type denyTargets as DenyTargets,
  type liftTargets as LiftTargets,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import { operatorCause, operatorHold, strongestHold } from '../denial/deny-state.ts';
import { type Asks, devicesOfFingerprints, findUnknown } from '../devices/identify.ts';
import type { Ledger } from '../ledger/ledger.ts';

export type DenyContext = Asks & { readonly ledger: Ledger; readonly now: () => number };

/**
 * An operator denies targets. They are denied before anybody is asked what the bootstrap certificates among them became.
 * @throws OperationError `invalid-input`; `unavailable` where `bootstrap` does not answer: the targets are denied
 *   anyway
 */
export async function denyTargets(
  ctx: DenyContext,
  input: ParsedInput<typeof DenyTargets>,
): Promise<OperationOutput<typeof DenyTargets>> {
  const { account, targets } = input;
  checkTargets(account, targets);
  const hold = operatorHold(input, ctx.now());
  const deny = (target: DenyTarget) => ({ do: 'deny' as const, target, hold });
  const number = await ctx.ledger.append(targets.map(deny));
  const devices = await devicesBehind(ctx, account, targets);
  const last = devices.length === 0 ? number : await ctx.ledger.append(devices.map(deny));
  const unknown = await unknownAmong(ctx, account, targets);
  return { number: last, ...(unknown.length === 0 ? {} : { unknown }) };
}

/** An operator lifts what operators of the account denied. What else denies the targets stays, and is listed. */
export async function liftTargets(
  ctx: DenyContext,
  { account, targets }: ParsedInput<typeof LiftTargets>,
): Promise<OperationOutput<typeof LiftTargets>> {
  checkTargets(account, targets);
  const cause = operatorCause(account);
  const devices = await devicesBehind(ctx, account, targets);
  const number = await ctx.ledger.append(
    [...targets, ...devices].map((target) => ({ do: 'lift' as const, target, cause })),
  );
  return { number, stillDenied: await stillDenied(ctx, targets) };
}

/**
 * The devices that denied bootstrap certificates became: other listeners cannot see the certificate.
 * @throws OperationError `unavailable` where `bootstrap` does not answer
 */
async function devicesBehind(
  ctx: Asks,
  account: string,
  targets: readonly DenyTarget[],
): Promise<DenyTarget[]> {
  const fingerprints = targets.flatMap((target) =>
    target.kind === 'fingerprint' ? [target.fingerprint] : [],
  );
  if (fingerprints.length === 0) return [];
  const devices = await devicesOfFingerprints(ctx, fingerprints);
  return account === PLATFORM_ACCOUNT
    ? devices
    : devices.filter((device) => device.kind === 'device' && device.account === account);
}

/** Devices that are denied by an id that the account does not have: perhaps mistyped. Empty where nobody answers. */
async function unknownAmong(ctx: Asks, account: string, targets: readonly DenyTarget[]): Promise<string[]> {
  const named = targets.flatMap((target) =>
    target.kind === 'device' && target.account === account ? [target.deviceId] : [],
  );
  return findUnknown(ctx, account, named).catch((error: unknown) => {
    if (error instanceof OperationError) return [];
    throw error;
  });
}

async function stillDenied({ ledger, now }: DenyContext, targets: readonly DenyTarget[]) {
  const seconds = Math.floor(now() / 1000);
  const left = await Promise.all(
    targets.map(async (target) => {
      const state = await ledger.state(denyKey(target));
      const hold = state === undefined ? undefined : strongestHold(state, seconds);
      return hold === undefined ? [] : [{ target, reason: hold.reason, source: hold.source }];
    }),
  );
  return left.flat();
}

/** Whole CAs are the platform's to deny, and a device is its own account's. @throws OperationError `invalid-input` */
function checkTargets(account: string, targets: readonly DenyTarget[]): void {
  if (account === PLATFORM_ACCOUNT) return;
  const reject = (field: string, why: string) => {
    throw new OperationError('invalid-input', `${field}: ${why}`, { field });
  };
  targets.forEach((target, index) => {
    if (target.kind === 'account')
      reject(`targets.${index}.kind`, 'only the platform denies a whole account');
    if (target.kind === 'ca') reject(`targets.${index}.kind`, 'only the platform denies a whole CA');
    if (target.kind === 'device' && target.account !== account)
      reject(`targets.${index}.account`, `not the account "${account}" that asks`);
  });
}
