import { newEvent, type SignetEvent } from '@signet/contracts';
import { z } from 'zod';
import type { CollectionSpec, Publish } from '../src/index.ts';

export const Thing = z.object({
  id: z.string(),
  account: z.string().optional(),
  label: z.string().optional(),
  size: z.number().optional(),
  armed: z.boolean().optional(),
  count: z.int().optional(),
  config: z.record(z.string(), z.string()).optional(),
});
export type Thing = z.infer<typeof Thing>;

/** A collection with an index of every kind. */
export const things = {
  name: 'test.things',
  schema: Thing,
  indexes: {
    label: { fields: ['label'], unique: true },
    place: { fields: ['account', 'label'], unique: true },
    size: { fields: ['account', 'size'] },
    armed: { fields: ['armed', 'account', 'label'] },
  },
} as const satisfies CollectionSpec<Thing>;

/** As above, but for what is unique. */
export const plainThings = {
  name: 'test.plain',
  schema: Thing,
  indexes: { label: { fields: ['label'] }, size: { fields: ['account', 'size'] } },
} as const satisfies CollectionSpec<Thing>;

let clock = Date.UTC(2026, 0, 1);

/** An event about a thing; which one is of no matter to a store. */
export function eventOf(thing: string): SignetEvent {
  clock += 1;
  return newEvent('DENYLIST_CHANGED', {
    account: 'acme',
    subject: thing,
    time: clock,
    data: { number: 1, add: [], lift: [] },
  });
}

/** A bus that can be held up and can fail. */
export class TestBus {
  readonly events: SignetEvent[] = [];
  #held: PromiseWithResolvers<void> | undefined;
  failures = 0;

  readonly publish: Publish = async (events) => {
    await this.#held?.promise;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('the bus is unavailable');
    }
    this.events.push(...events);
  };

  hold(): void {
    this.#held = Promise.withResolvers();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  ids(): string[] {
    return this.events.map(({ id }) => id);
  }
}
