import type { DeviceKey, RevocationReason } from '@signet/contracts';
import type { Change } from '@signet/store';
import {
  emptyRing,
  type KeyRing,
  withFormer,
  withNextWaiting,
  withoutNext,
  withWaiting,
} from './key-ring.ts';
import { droppedEvent } from './rotation-events.ts';

type Step = Change<KeyRing> | undefined;

/**
 * Ends the rotation that is under way and lifts its lock. The announced key stays good until it is seen or its
 * certificate ends, as the device may have saved it already; `revoke` drops every announced key, and their certificates
 * are revoked after that.
 */
export function endRotation(
  ring: KeyRing,
  facts: { readonly by: string; readonly now: number; readonly revoke: boolean },
): Step {
  const { by, now, revoke } = facts;
  const { ordered, ...rest } = withNextWaiting(ring);
  const { waiting = [] } = rest;
  if (revoke && waiting.length > 0) {
    const events = waiting.map((key) =>
      droppedEvent(ring, key, { by, now, reason: 'cancelled', rotationId: key.rotationId }),
    );
    return { document: withFormer(withWaiting(rest, []), ...waiting), events };
  }
  if (ring.next === undefined) return ordered === undefined ? undefined : { document: rest };
  return {
    document: rest,
    events: [droppedEvent(ring, ring.next, { by, now, reason: 'cancelled', keyKept: true })],
  };
}

/** Whether the device said of an announced key that it has its certificate: revoking that key may lock the device out. */
export function isConfirmed({ rotation, waiting = [] }: KeyRing): boolean {
  return [rotation, ...waiting].some((each) => each?.confirmedAt !== undefined);
}

/**
 * A certificate was revoked. A next key that can no longer be seen ends its rotation. One that was superseded and is
 * revoked for another reason has no grace any more. Else the ring is as it was.
 */
export function dropRevokedKey(
  ring: KeyRing,
  serialNumber: string,
  reason: RevocationReason = 'superseded',
): Step {
  const { next, former } = ring;
  if (next?.serialNumber === serialNumber) return { document: withFormer(withoutNext(ring), next) };
  const waiting = ring.waiting?.filter((key) => key.serialNumber === serialNumber) ?? [];
  if (waiting.length > 0) {
    const left = ring.waiting?.filter((key) => !waiting.includes(key)) ?? [];
    return { document: withFormer(withWaiting(ring, left), ...waiting) };
  }
  const had = former.some((key) => key.serialNumber === serialNumber && key.supersededAt !== undefined);
  if (reason === 'superseded' || !had) return undefined;
  const without = former.map(({ supersededAt, ...key }) =>
    key.serialNumber === serialNumber || supersededAt === undefined ? key : { ...key, supersededAt },
  );
  return { document: { ...ring, former: without } };
}

/**
 * The device left the account at `at`: its keys are former ones, so that a late word of their certificates brings none
 * back. Those that came later are the next device's.
 */
export function dropDepartedKeys(ring: KeyRing, at: string): Change<KeyRing> | undefined {
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
