import type { Change } from '@signet/store';
import { type KeyRing, rotationIdOf } from './key-ring.ts';

type Step = Change<KeyRing> | undefined;

/** The device says itself that it has the certificate of its announced key (`PATCH /device`). */
export function confirmed(ring: KeyRing, publicKeyHash: string, now: number): Step {
  const id = rotationIdOf(ring);
  if (id === undefined || ring.next?.publicKeyHash !== publicKeyHash) return undefined;
  if (ring.rotation?.confirmedAt !== undefined) return undefined;
  return { document: { ...ring, rotation: { id, confirmedAt: new Date(now).toISOString() } } };
}

/** The device read its config with its new key. */
export function reread(ring: KeyRing): Step {
  if (ring.unread === undefined) return undefined;
  const { unread: _unread, ...document } = ring;
  return { document };
}

/** An operator orders a rotation; a later order takes the place of an earlier one that was not begun. */
export function ordered(ring: KeyRing, rotationId: string, now: number): Step {
  if (ring.ordered?.rotationId === rotationId) return undefined;
  return { document: { ...ring, ordered: { rotationId, at: new Date(now).toISOString() } } };
}
