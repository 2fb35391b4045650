import type { Bus, Subscription } from '@signet/bus';
import { type DenyTarget, departureOf, type SignetEvent } from '@signet/contracts';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import type { Intent } from '../domain/deny-state.ts';

/** Never given up: who denied a device that it has no more shuts out its next owner. */
const maxDeliveries = 1_000_000;

/**
 * What operators of an account deny of a device counts while the account has it: given up or claimed by another, it is
 * over. Blocks, revocations and what the platform denies stay.
 */
export function followOwners(bus: Bus, ledger: DenyLedger): Promise<Subscription> {
  return bus.consume(
    {
      durable: 'revocation-sync-owners',
      types: ['DEVICE_RESET', 'DEVICE_CLAIMED'],
      ordered: true,
      maxDeliveries,
    },
    async (event) => {
      const intents = changeOfHands(event);
      if (intents.length > 0) await ledger.append(intents);
    },
  );
}

function changeOfHands(event: SignetEvent): Intent[] {
  const until = event.time;
  if (event.type === 'DEVICE_CLAIMED') {
    const { fingerprint } = event.data;
    const target: DenyTarget = { kind: 'fingerprint', fingerprint };
    return [{ do: 'end', target, whose: { notOf: event.account }, until }];
  }
  const departure = departureOf(event);
  if (departure === undefined) return [];
  const { account, deviceId, fingerprint } = departure;
  const targets: DenyTarget[] = [
    { kind: 'fingerprint', fingerprint },
    { kind: 'device', account, deviceId },
  ];
  return targets.map((target) => ({ do: 'end', target, whose: { of: account }, until }));
}
