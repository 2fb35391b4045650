import type { Bus, Subscription } from '@signet/bus';
import {
  cancelRotation,
  listRotations,
  OperationError,
  type Rotation,
  withdrawRenewal,
} from '@signet/contracts';
import { cancelled, isConfirmed } from '../../domain/rotation/end-rotation.ts';
import { type KeyRing, keyRingId, rotationIdOf } from '../../domain/rotation/key-ring.ts';
import type { Rings } from '../keys.ts';

type Deps = {
  readonly bus: Bus;
  readonly rings: Rings;
  readonly now: () => number;
  /** A rotation that waits for longer is stalled, ms. */
  readonly stalledMs: number;
};

/** Rotations as operators see and end them. */
export async function serveRotations({ bus, rings, now, stalledMs }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(listRotations, async ({ account, stalled, limit, cursor }) => {
      const bound = new Date(now() - stalledMs).toISOString();
      const page = await rings.find({
        ...{ index: 'rotating', equals: { account }, limit },
        ...(stalled ? { to: bound } : {}),
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.flatMap((ring) => viewOf(ring, bound)),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    }),
    await bus.serve(cancelRotation, async ({ account, deviceId, by, revoke, force }) => {
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
            `revoke: "${deviceId}" has confirmed its announced key and may hold no other; force revokes it all the same`,
            { field: 'revoke' },
          );
        answer = { rotationId, revoked: announced.map(({ serialNumber }) => serialNumber) };
        return cancelled(ring, { by, now: now(), revoke });
      });
      return answer;
    }),
  ];
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

/** A rotation that was cancelled before: its key can still be revoked. */
function waitingId({ waiting = [] }: KeyRing, revoke: boolean): string | undefined {
  return revoke ? waiting.at(-1)?.rotationId : undefined;
}
