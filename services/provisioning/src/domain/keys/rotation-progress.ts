import type { Change } from '@signet/store';
import { type KeyRing, rotationIdOf, type WaitingKey, withWaiting } from './key-ring.ts';

type Step = Change<KeyRing> | undefined;

/**
 * The device says itself that it has the certificate of an announced key (`PATCH /device`). A key that waits beside the
 * next one is confirmed and holds the config no more than before: a newer announcement, or an operator, ended that.
 */
export function confirmNext(ring: KeyRing, publicKeyHash: string, now: number): Step {
  const confirmedAt = new Date(now).toISOString();
  const id = rotationIdOf(ring);
  if (id !== undefined && ring.next?.publicKeyHash === publicKeyHash) {
    if (ring.rotation?.confirmedAt !== undefined) return undefined;
    return { document: { ...ring, rotation: { id, confirmedAt } } };
  }
  const { waiting = [] } = ring;
  const isMeant = (key: WaitingKey) => key.publicKeyHash === publicKeyHash && key.confirmedAt === undefined;
  if (!waiting.some(isMeant)) return undefined;
  return {
    document: withWaiting(
      ring,
      waiting.map((key) => (isMeant(key) ? { ...key, confirmedAt } : key)),
    ),
  };
}

/** The device read its config with its new key. */
export function markConfigRead(ring: KeyRing): Step {
  if (ring.unread === undefined) return undefined;
  const { unread: _unread, ...document } = ring;
  return { document };
}

/** An operator orders a rotation; a later order takes the place of an earlier one that was not begun. */
export function orderRotation(ring: KeyRing, rotationId: string, now: number): Step {
  if (ring.ordered?.rotationId === rotationId) return undefined;
  return { document: { ...ring, ordered: { rotationId, at: new Date(now).toISOString() } } };
}
