import type { RevocationReason } from '@signet/contracts';
import type { Change } from '@signet/store';
import { type KeyRing, withFormer, withoutNext } from './key-ring.ts';
import { droppedEvent } from './rotation-events.ts';

type Step = Change<KeyRing> | undefined;

/** Drops the next key, whose certificate is revoked after it. The current one is as good as before. */
export function cancelled(ring: KeyRing, facts: { readonly by: string; readonly now: number }): Step {
  const { next } = ring;
  const { ordered: _ordered, ...rest } = withoutNext(ring);
  if (next === undefined) return ring.ordered === undefined ? undefined : { document: rest };
  return {
    document: withFormer(rest, next),
    events: [droppedEvent(ring, next, { ...facts, reason: 'cancelled' })],
  };
}

/**
 * A certificate was revoked. A next key that can no longer be seen ends its rotation. One that was superseded and is
 * revoked for another reason has no grace any more. Else the ring is as it was.
 */
export function revoked(ring: KeyRing, serialNumber: string, reason: RevocationReason = 'superseded'): Step {
  const { next, former } = ring;
  if (next?.serialNumber === serialNumber) return { document: withFormer(withoutNext(ring), next) };
  const had = former.some((key) => key.serialNumber === serialNumber && key.supersededAt !== undefined);
  if (reason === 'superseded' || !had) return undefined;
  const without = former.map(({ supersededAt, ...key }) =>
    key.serialNumber === serialNumber || supersededAt === undefined ? key : { ...key, supersededAt },
  );
  return { document: { ...ring, former: without } };
}
