import { operation } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { numbered, numberOf } from '../../test/events.ts';
import { type NatsHarness, openNatsHarness } from '../../test/nats-harness.ts';

const binary = requireServer('nats-server');
const types = ['DEVICE_FIRST_SEEN'] as const;
const echo = operation('testing.echo', { input: z.string(), output: z.string(), errors: [] });
const bytes = new TextEncoder().encode('payload');

describe.skipIf(binary === '')('the bus while NATS is unavailable', () => {
  let harness: NatsHarness;
  beforeEach(async () => {
    harness = await openNatsHarness((options) => startNats(binary, options));
  });
  afterEach(async () => {
    await harness[Symbol.asyncDispose]();
  });

  it('opens without a server, says so, lets publishers wait, and does all that was asked of it once there is one', async () => {
    await harness.stopServer();
    const bus = await harness.replica();
    expect(bus.failure()).toContain(new URL(harness.url).host);
    const [consumed, tailed, heard] = [[] as number[], [] as number[], [] as string[]];
    await bus.consume({ durable: 'early', types, ordered: true }, async (event) => {
      consumed.push(numberOf(event));
    });
    await bus.tail({ types, from: 'new' }, (event) => {
      tailed.push(numberOf(event));
    });
    await bus.serve(echo, async (text) => text);
    await bus.listen('signet.denylist.head', ({ subject }) => {
      heard.push(subject);
    });
    const published = bus.publish([numbered('dev-1', 1)]);
    await expect(bus.request(echo, 'hello', { deadlineMs: 200 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(
      bus.send('signet.mqtt.acme.dev-1.up.a', bytes, { stored: true, deadlineMs: 200 }),
    ).rejects.toMatchObject({ name: 'BusError', code: 'unavailable' });
    expect(harness.lines.map(({ message }) => message)).toContain('NATS is unavailable; trying again');

    await harness.startServer();
    await published;
    expect(bus.failure()).toBeUndefined();
    await vi.waitFor(() => expect(consumed).toEqual([1]), 10_000);
    expect(await bus.request(echo, 'hello')).toBe('hello');
    await bus.send('signet.denylist.head', bytes);
    await vi.waitFor(() => expect(heard).toEqual(['signet.denylist.head']), 10_000);
    await bus.publish([numbered('dev-1', 2)]);
    await vi.waitFor(() => expect(tailed.at(-1)).toBe(2), 10_000);
  });

  it('loses nothing, and repeats nothing in a tail, when the server is killed and started again in mid-stream', async () => {
    const [publisher, reader] = [await harness.replica(), await harness.replica()];
    const consumed: number[] = [];
    const tailed: { n: number; position: number }[] = [];
    const heard: string[] = [];
    await reader.consume({ durable: 'steady', types, ordered: true }, async (event) => {
      consumed.push(numberOf(event));
    });
    await reader.tail({ types, from: 'start' }, (event, position) => {
      tailed.push({ n: numberOf(event), position });
    });
    await reader.serve(echo, async (text) => text);
    await reader.listen('signet.mqtt.>', ({ subject }) => {
      heard.push(subject);
    });
    const numbers = Array.from({ length: 300 }, (_, n) => n);
    const publishing = (async () => {
      for (const n of numbers) await publisher.publish([numbered('dev-1', n)]);
    })();
    await vi.waitFor(() => expect(tailed.length).toBeGreaterThan(50), 10_000);
    await harness.killServer();
    await vi.waitFor(() => expect(publisher.failure()).toBeDefined(), 10_000);
    expect(reader.failure()).toContain('disconnected');
    await harness.startServer();
    await publishing;
    await vi.waitFor(() => expect(tailed.length).toBeGreaterThanOrEqual(300), 30_000);
    expect(tailed.map(({ n }) => n)).toEqual(numbers);
    expect(tailed.map(({ position }) => position)).toEqual(numbers.map((n) => n + 1));
    await vi.waitFor(() => expect(new Set(consumed).size).toBe(300), 30_000);
    expect([...new Set(consumed)]).toEqual(numbers);
    expect(await publisher.request(echo, 'hello')).toBe('hello');
    await publisher.send('signet.mqtt.acme.dev-1.up.a', bytes, { stored: true });
    await vi.waitFor(() => expect(heard).toEqual(['signet.mqtt.acme.dev-1.up.a']), 10_000);
    expect([publisher.failure(), reader.failure()]).toEqual([undefined, undefined]);
  });

  it('makes its streams and consumers again when the server comes back without its data', async () => {
    const bus = await harness.replica();
    const consumed: number[] = [];
    const tailed: number[] = [];
    await bus.consume({ durable: 'rebuilt', types }, async (event) => {
      consumed.push(numberOf(event));
    });
    await bus.tail({ types, from: 'start' }, (event) => {
      tailed.push(numberOf(event));
    });
    await bus.publish([numbered('dev-1', 1), numbered('dev-1', 2)]);
    await vi.waitFor(() => expect([consumed.length, tailed.length]).toEqual([2, 2]), 10_000);
    await harness.stopServer();
    await harness.forgetData();
    await harness.startServer();
    await bus.publish([numbered('dev-1', 3)]);
    await vi.waitFor(() => expect(consumed).toContain(3), 30_000);
    await vi.waitFor(() => expect(tailed).toContain(3), 30_000);
  });

  it.each(['streams', 'consumers'] as const)(
    'goes on with all that was asked of it when %s are deleted while it stays connected',
    async (what) => {
      const bus = await harness.replica();
      const [consumed, ordered, tailed, taken] = [
        [] as number[],
        [] as number[],
        [] as number[],
        [] as string[],
      ];
      await bus.consume({ durable: 'free', types }, async (event) => void consumed.push(numberOf(event)));
      await bus.consume(
        { durable: 'in-order', types, ordered: true },
        async (event) => void ordered.push(numberOf(event)),
      );
      await bus.tail({ types, from: 'start' }, (event) => void tailed.push(numberOf(event)));
      await bus.consumeDownlink(async ({ payload }) => void taken.push(Buffer.from(payload).toString()));
      const down = (text: string) =>
        bus.send('signet.mqtt.acme.dev-1.down.a', Buffer.from(text), { stored: true, deadlineMs: 30_000 });
      const before = Array.from({ length: 10 }, (_, n) => n);
      await bus.publish(before.map((n) => numbered('dev-1', n)));
      await down('before');
      await vi.waitFor(
        () => expect([consumed.length, ordered.length, tailed.length, taken.length]).toEqual([10, 10, 10, 1]),
        10_000,
      );
      await harness.lose(what);
      await bus.publish([numbered('dev-1', 10), numbered('dev-1', 11)]);
      await down('after');
      await vi.waitFor(
        () => {
          for (const got of [consumed, ordered, tailed])
            expect(got).toEqual(expect.arrayContaining([10, 11]));
          expect(taken).toContain('after');
        },
        { timeout: 30_000, interval: 20 },
      );
    },
  );

  it('does not hand a message to another replica while its handler is at work, however long it takes', async () => {
    const replicas = [await harness.replica(), await harness.replica()];
    const release = Promise.withResolvers<void>();
    let tries = 0;
    const quick: number[] = [];
    for (const bus of replicas) {
      await bus.consume({ durable: 'patient', types }, async (event) => {
        if (numberOf(event) > 1) {
          quick.push(numberOf(event));
          return;
        }
        tries++;
        await release.promise;
      });
    }
    await replicas[0]?.publish([numbered('dev-1', 1)]);
    await vi.waitFor(() => expect(tries).toBe(1), 10_000);
    const thrice = performance.now() + 3 * 1000;
    await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(thrice), { timeout: 10_000 });
    await replicas[0]?.publish([numbered('dev-1', 2)]);
    await vi.waitFor(() => expect(quick).toEqual([2]), 10_000);
    expect(tries).toBe(1);
    release.resolve();
  });

  it('stores a message for downstream systems under its own subject, and a plain one not at all', async () => {
    const bus = await harness.replica();
    await bus.send('signet.mqtt.acme.dev-1.up.a', bytes);
    await bus.send('signet.mqtt.acme.dev-1.up.b', bytes, { stored: true });
    expect(await harness.storedMessages()).toEqual(['signet.mqtt.acme.dev-1.up.b']);
  });

  it('refuses what no stream can ever take instead of waiting for it', async () => {
    const bus = await harness.replica();
    await expect(
      bus.send('signet.mqtt.acme.dev-1.up.a', new Uint8Array(2 ** 21), { stored: true }),
    ).rejects.toMatchObject({ name: 'BusError', code: 'too-large' });
  });
});
