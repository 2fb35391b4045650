import type { Bus, Subscription } from '@signet/bus';
import { cancelRotation, listRotations, OperationError, type Rotation } from '@signet/contracts';
import { cancelled } from '../../domain/rotation/end-rotation.ts';
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
    await bus.serve(cancelRotation, async ({ account, deviceId, by }) => {
      const id = keyRingId(account, deviceId);
      const ring = await rings.get(id);
      const rotationId = ring === undefined ? undefined : (rotationIdOf(ring) ?? ring.ordered?.rotationId);
      if (rotationId === undefined)
        throw new OperationError('no-rotation', `deviceId: no rotation of "${deviceId}" is under way`, {
          field: 'deviceId',
        });
      await rings.update(id, (current) => cancelled(current, { by, now: now() }));
      return { rotationId };
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
