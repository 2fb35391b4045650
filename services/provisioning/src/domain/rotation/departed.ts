import type { DeviceKey } from '@signet/contracts';
import type { Change } from '@signet/store';
import { emptyRing, type KeyRing, withFormer } from './key-ring.ts';

/**
 * The device left the account at `at`: its keys are former ones, so that a late word of their certificates brings none
 * back. Those that came later are the next device's.
 */
export function departed(ring: KeyRing, at: string): Change<KeyRing> | undefined {
  const { account, deviceId, current, next, waiting = [], ordered, former } = ring;
  const isLater = (key: { readonly since: string } | undefined) => key !== undefined && key.since > at;
  const gone = [current, next, ...waiting].filter(
    (key): key is DeviceKey => key !== undefined && !isLater(key),
  );
  const isOrderOfLater = ordered !== undefined && ordered.at > at;
  const isAllOfLater = gone.length === 0 && (ordered === undefined || isOrderOfLater);
  if (isAllOfLater && (current ?? next) !== undefined) return undefined;
  const kept = waiting.filter(isLater);
  const document: KeyRing = {
    ...emptyRing(account, deviceId),
    former,
    ...(isLater(current) && current !== undefined ? { current, unread: true } : {}),
    ...(isLater(next) && next !== undefined ? nextOf(ring, next) : {}),
    ...(kept.length === 0 ? {} : { waiting: kept }),
    ...(isOrderOfLater ? { ordered } : {}),
  };
  return { document: withFormer(document, ...gone) };
}

function nextOf({ rotation, rotatingSince }: KeyRing, next: DeviceKey): Partial<KeyRing> {
  return {
    next,
    ...(rotation === undefined ? {} : { rotation }),
    ...(rotatingSince === undefined ? {} : { rotatingSince }),
  };
}
