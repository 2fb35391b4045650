import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@signet/sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeSegment, encodeSegment, segmentBytes } from './message-segment.ts';
import { openLocalBus } from './open.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'signet-bus-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const up = (device: string) => `signet.mqtt.acme.${device}.up.n`;
const rowsOf = (database: ReturnType<typeof openDatabase>) =>
  database.read<{ last: number; messages: Uint8Array }>(
    'SELECT last, messages FROM bus_mqtt_segment ORDER BY last',
  );

describe('messages that are stored', () => {
  it('stand in a row as they were sent, whatever is in them', () => {
    const message = fc.record({
      subject: fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
        const bytes = messages.reduce((sum, each) => sum + segmentBytes(each), 0);
        const read = decodeSegment(encodeSegment(messages, bytes));
        expect(read.map(({ subject, payload }) => [subject, [...payload]])).toEqual(
          messages.map(({ subject, payload }) => [subject, [...payload]]),
        );
      }),
    );
  });

  it('are on the disk when they are acknowledged, in their order, many with one commit', async () => {
    const database = openDatabase(join(directory, 'signet.db'));
    const bus = await openLocalBus({ database });
    const sent: string[] = [];
    for (let round = 0; round < 3; round++)
      await Promise.all(
        Array.from({ length: 200 }, (_, n) => {
          const text = `${round}.${n}`;
          sent.push(text);
          return bus.send(up(`dev-${n % 7}`), Buffer.from(text), { stored: true });
        }),
      );
    const rows = rowsOf(database);
    expect(rows.map(({ last }) => last)).toEqual([200, 400, 600]);
    const stored = rows.flatMap(({ messages }) => decodeSegment(messages));
    expect(stored.map(({ payload }) => Buffer.from(payload).toString())).toEqual(sent);
    expect(new Set(stored.map(({ subject }) => subject)).size).toBe(7);
    await bus[Symbol.asyncDispose]();
    await expect(bus.send(up('dev-1'), Buffer.from('late'), { stored: true })).rejects.toMatchObject({
      code: 'closed',
    });
    await database[Symbol.asyncDispose]();
  });

  it('keep to their number while they come, the oldest gone first', async () => {
    await using database = openDatabase(join(directory, 'signet.db'));
    await using bus = await openLocalBus({ database, limits: { mqttMaxMessages: 5 } });
    for (let n = 1; n <= 20; n++) await bus.send(up('dev-1'), Buffer.from(`${n}`), { stored: true });
    expect(rowsOf(database).map(({ last }) => last)).toEqual([16, 17, 18, 19, 20]);
  });
});
