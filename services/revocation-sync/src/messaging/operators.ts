import type { Bus, Subscription } from '@signet/bus';
import {
  type DenyTarget,
  denyTargets,
  liftTargets,
  listDenied,
  OperationError,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import { operatorCause, strongestHold } from '../domain/deny-state.ts';
import { operatorHold } from '../domain/operator-hold.ts';
import type { Collections } from '../domain/records.ts';
import { answering } from './answering.ts';
import { devicesOfFingerprints, unknownOf } from './identify.ts';
import { listEntries } from './list-entries.ts';

type Deps = {
  readonly bus: Bus;
  readonly ledger: DenyLedger;
  readonly entries: Collections['entries'];
  readonly now: () => number;
};

/** What operators deny, lift, list and search. */
export async function serveOperators({ bus, ledger, entries, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(denyTargets, async (input) => {
      const { account, targets } = input;
      checkTargets(account, targets);
      const hold = operatorHold(input, now());
      return answering(async () => {
        const deny = (target: DenyTarget) => ({ do: 'deny' as const, target, hold });
        const number = await ledger.append(targets.map(deny));
        const devices = await becameOf(bus, account, targets);
        const last = devices.length === 0 ? number : await ledger.append(devices.map(deny));
        const unknown = await unknownAmong(bus, account, targets);
        return { number: last, ...(unknown.length === 0 ? {} : { unknown }) };
      });
    }),
    await bus.serve(liftTargets, async ({ account, targets }) => {
      checkTargets(account, targets);
      return answering(async () => {
        const cause = operatorCause(account);
        const devices = await becameOf(bus, account, targets);
        const number = await ledger.append(
          [...targets, ...devices].map((target) => ({ do: 'lift' as const, target, cause })),
        );
        return { number, stillDenied: await stillDenied(ledger, targets, Math.floor(now() / 1000)) };
      });
    }),
    await bus.serve(listDenied, (input) =>
      answering(async () => {
        await ledger.settled();
        return listEntries(entries, input, Math.floor(now() / 1000));
      }),
    ),
  ];
}

/**
 * The devices that denied bootstrap certificates became: other listeners cannot see that reason (design §10).
 * @throws OperationError `unavailable` where bootstrap does not answer
 */
async function becameOf(bus: Bus, account: string, targets: readonly DenyTarget[]): Promise<DenyTarget[]> {
  const fingerprints = targets.flatMap((target) =>
    target.kind === 'fingerprint' ? [target.fingerprint] : [],
  );
  if (fingerprints.length === 0) return [];
  const devices = await devicesOfFingerprints(bus, fingerprints);
  return account === PLATFORM_ACCOUNT
    ? devices
    : devices.filter((device) => device.kind === 'device' && device.account === account);
}

/** Devices of the account that are denied by a name that none has: perhaps mistyped. What cannot be asked is not said. */
async function unknownAmong(bus: Bus, account: string, targets: readonly DenyTarget[]): Promise<string[]> {
  const named = targets.flatMap((target) =>
    target.kind === 'device' && target.account === account ? [target.deviceId] : [],
  );
  return unknownOf(bus, account, named).catch((error: unknown) => {
    if (error instanceof OperationError) return [];
    throw error;
  });
}

async function stillDenied(ledger: DenyLedger, targets: readonly DenyTarget[], now: number) {
  const left = await Promise.all(
    targets.map(async (target) => {
      const state = await ledger.state(denyKey(target));
      const hold = state === undefined ? undefined : strongestHold(state, now);
      return hold === undefined ? [] : [{ target, reason: hold.reason, source: hold.source }];
    }),
  );
  return left.flat();
}

/** Whole CAs are the platform's to deny, and a device is its own account's. */
function checkTargets(account: string, targets: readonly DenyTarget[]): void {
  if (account === PLATFORM_ACCOUNT) return;
  const refuse = (field: string, why: string) => {
    throw new OperationError('invalid-input', `${field}: ${why}`, { field });
  };
  targets.forEach((target, index) => {
    if (target.kind === 'account')
      refuse(`targets.${index}.kind`, 'only the platform denies a whole account');
    if (target.kind === 'ca') refuse(`targets.${index}.kind`, 'only the platform denies a whole CA');
    if (target.kind === 'device' && target.account !== account)
      refuse(`targets.${index}.account`, `not the account "${account}" that asks`);
  });
}
