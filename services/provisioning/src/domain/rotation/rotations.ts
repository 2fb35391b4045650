import {
  type cancelRotation as CancelRotation,
  type listRotations as ListRotations,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  type Rotation,
  revokeCertificates,
  withdrawRenewal,
} from '@signet/contracts';
import type { Asks, DeviceName } from '../devices/known-devices.ts';
import { iso } from '../documents/documents.ts';
import { endRotation, isConfirmed } from '../keys/end-rotation.ts';
import { type KeyRing, type KeyRings, keyRingId, rotationIdOf } from '../keys/key-ring.ts';

/** Rotations in progress, as operators see them. `stalledMs`: a rotation that waits for longer is stalled. */
export async function listRotations(
  ctx: { readonly rings: KeyRings; readonly now: () => number; readonly stalledMs: number },
  { account, stalled, limit, cursor }: ParsedInput<typeof ListRotations>,
): Promise<OperationOutput<typeof ListRotations>> {
  const bound = iso(ctx.now() - ctx.stalledMs);
  const page = await ctx.rings.find({
    ...{ index: 'rotating', equals: { account }, limit },
    ...(stalled ? { to: bound } : {}),
    ...(cursor === undefined ? {} : { cursor }),
  });
  return {
    items: page.items.flatMap((ring) => viewOf(ring, bound)),
    ...(page.next === undefined ? {} : { next: page.next }),
  };
}

/**
 * An operator ends a rotation. The order at `est-ca` goes first, so that the device does not begin anew meanwhile.
 * @throws OperationError `no-rotation`, `rotation-confirmed`
 */
export async function cancelRotation(
  { bus, rings, now }: Asks & { readonly rings: KeyRings; readonly now: () => number },
  { account, deviceId, by, revoke, force }: ParsedInput<typeof CancelRotation>,
): Promise<OperationOutput<typeof CancelRotation>> {
  const id = keyRingId(account, deviceId);
  const noRotation = new OperationError(
    'no-rotation',
    `deviceId: no rotation of "${deviceId}" is under way`,
    { field: 'deviceId' },
  );
  const held = await rings.get(id);
  if (held === undefined) throw noRotation;
  if (held.ordered !== undefined) await bus.request(withdrawRenewal, { account, deviceId });
  let answer = { rotationId: '', revoked: [] as string[] };
  await rings.update(id, (ring) => {
    const announced = revoke ? [ring.next, ...(ring.waiting ?? [])].flatMap((key) => key ?? []) : [];
    const rotationId = rotationIdOf(ring) ?? ring.ordered?.rotationId ?? waitingId(ring, revoke);
    if (rotationId === undefined) throw noRotation;
    if (revoke && !force && isConfirmed(ring))
      throw new OperationError(
        'rotation-confirmed',
        `revoke: "${deviceId}" has confirmed its announced key and may hold no other; force revokes it anyway`,
        { field: 'revoke' },
      );
    answer = { rotationId, revoked: announced.map(({ serialNumber }) => serialNumber) };
    return endRotation(ring, { by, now: now(), revoke });
  });
  return answer;
}

/** The certificate of an announced key that was dropped is revoked: broker and EST reject it as the gateway does (F38). */
export async function revokeDroppedKey(
  { bus }: Asks,
  { account, deviceId, serialNumber }: DeviceName & { readonly serialNumber: string },
): Promise<void> {
  try {
    await bus.request(revokeCertificates, {
      ...{ account, deviceId, serialNumber, reason: 'superseded', by: 'provisioning' },
    });
  } catch (error) {
    // it was never issued: nothing can come with it
    if (!(error instanceof OperationError) || error.code !== 'unknown-certificate') throw error;
  }
}

function viewOf(ring: KeyRing, bound: string): Rotation[] {
  const { deviceId, next, rotation, rotatingSince } = ring;
  const rotationId = rotationIdOf(ring);
  if (next === undefined || rotationId === undefined || rotatingSince === undefined) return [];
  return [
    {
      ...{ deviceId, rotationId, since: rotatingSince, serialNumber: next.serialNumber },
      ...(rotation?.confirmedAt === undefined ? {} : { confirmedAt: rotation.confirmedAt }),
      stalled: rotatingSince < bound,
    },
  ];
}

/** The id of a rotation that was cancelled before: its key can still be revoked. */
function waitingId({ waiting = [] }: KeyRing, revoke: boolean): string | undefined {
  return revoke ? waiting.at(-1)?.rotationId : undefined;
}
