import type { SignetEvent } from '@signet/contracts';
import { expect, it, vi } from 'vitest';
import { EventQueue } from './event-queue.ts';

const event = (id: string) => ({ id }) as SignetEvent;

function queue(gatherMs: number) {
  const batches: string[][] = [];
  const opened = new EventQueue({
    publish: async (events) => void batches.push(events.map(({ id }) => id)),
    capacity: 10,
    gatherMs,
    onDrop: () => {},
  });
  return { batches, opened };
}

it('events wait for others where they may, and are published together, in their order', async () => {
  const { batches, opened } = queue(20);
  for (const id of ['1', '2', '3']) opened.push(event(id));
  await vi.waitFor(() => expect(batches).toEqual([['1', '2', '3']]), 10_000);
  opened.push(event('4'));
  await vi.waitFor(() => expect(batches).toEqual([['1', '2', '3'], ['4']]), 10_000);
  await opened.close();
});

it('what waits for others is published at once when the queue is closed', async () => {
  const { batches, opened } = queue(600_000);
  opened.push(event('1'));
  await opened.close();
  expect(batches).toEqual([['1']]);
});
