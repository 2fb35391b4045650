import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openStore } from '../src/index.ts';
import { killWriterAfter, type Pair, publishedIn } from './kill.ts';
import { TestBus, things } from './things.ts';

function asText({ thing, event }: Pair): string {
  return `${thing} ${event}`;
}

/** What holds after a process died between a write and its publication. */
export function describeKill(options: {
  readonly url: () => string;
  readonly directory: string;
  readonly kills: number;
}): void {
  it('loses no event of an acknowledged write and publishes none without its state, through kill -9', {
    timeout: 60_000,
  }, async () => {
    const url = options.url();
    const busFile = join(options.directory, 'bus');
    const acknowledged: Pair[] = [];
    for (let kill = 0; kill < options.kills; kill++) {
      acknowledged.push(...(await killWriterAfter(10 + 7 * kill, url, busFile)));
    }
    const before = publishedIn(busFile);

    const bus = new TestBus();
    await using store = await openStore({ url, publish: bus.publish, sweepMs: 100 });
    const collection = await store.collection(things);
    const stored = (await collection.find({ limit: 1000 })).items.map(
      ({ id, label = '' }) => `${id} ${label}`,
    );
    const published = () =>
      new Set([...before.map(asText), ...bus.events.map(({ subject, id }) => `${subject} ${id}`)]);
    await expect.poll(() => published().size, { timeout: 30_000 }).toBe(stored.length);

    expect([...published()].toSorted()).toEqual(stored.toSorted());
    expect(new Set(stored).isSupersetOf(new Set(acknowledged.map(asText)))).toBe(true);
    expect(bus.events.length, 'events that only the sweep could publish').toBeGreaterThan(0);
  });
}
