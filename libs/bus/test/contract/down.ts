import { expect, it, vi } from 'vitest';
import type { BusHarness } from '../harness.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (payload: Uint8Array) => new TextDecoder().decode(payload);

export function downContract(harness: () => BusHarness): void {
  it('keeps what is stored for a device until somebody takes it; listeners do not hear it', async () => {
    const bus = await harness().replica();
    const heard: string[] = [];
    await bus.listen('signet.mqtt.acme.*.down.>', ({ payload }) => {
      heard.push(textOf(payload));
    });
    await bus.send('signet.mqtt.acme.dev-1.down.a.b', bytes('stored'), { stored: true });
    await bus.send('signet.mqtt.acme.dev-1.down.a', bytes('plain'));
    const taken: string[] = [];
    await bus.consumeDownlink(async ({ subject, payload }) => {
      taken.push(`${subject} ${textOf(payload)}`);
    });
    await vi.waitFor(() => expect(taken).toEqual(['signet.mqtt.acme.dev-1.down.a.b stored']), 10_000);
    await vi.waitFor(() => expect(heard).toEqual(['plain']), 10_000);
  });

  it('shares stored messages for devices among who takes them: each once, those of a device in their order', async () => {
    const [one, two] = [await harness().replica(), await harness().replica()];
    const taken = new Map<string, number[]>();
    const busy = new Set<string>();
    const overlaps: string[] = [];
    for (const bus of [one, two])
      await bus.consumeDownlink(async ({ subject, payload }) => {
        const device = subject.split('.')[3] ?? '';
        if (busy.has(device)) overlaps.push(device);
        busy.add(device);
        await new Promise((resolve) => setTimeout(resolve, 1));
        busy.delete(device);
        taken.set(device, [...(taken.get(device) ?? []), Number(textOf(payload))]);
      });
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const devices = ['dev-1', 'dev-2', 'dev-3'];
    for (const n of numbers)
      await Promise.all(
        devices.map((device) =>
          one.send(`signet.mqtt.acme.${device}.down.n`, bytes(String(n)), { stored: true }),
        ),
      );
    await vi.waitFor(() => {
      for (const device of devices) expect(taken.get(device)).toEqual(numbers);
    }, 20_000);
    expect(overlaps).toEqual([]);
  });

  it('tries a message for a device again until it is taken, and those after it wait', async () => {
    const bus = await harness().replica();
    const tried: string[] = [];
    await bus.consumeDownlink(async ({ payload }) => {
      tried.push(textOf(payload));
      if (tried.length < 3) throw new Error('not yet');
    });
    for (const text of ['1', '2'])
      await bus.send('signet.mqtt.acme.dev-1.down.n', bytes(text), { stored: true });
    await vi.waitFor(() => expect(tried).toEqual(['1', '1', '1', '2']), 10_000);
  });

  it('hands what was in flight to others when one who takes it leaves', async () => {
    const [one, two] = [await harness().replica(), await harness().replica()];
    const held = Promise.withResolvers<void>();
    const first = await one.consumeDownlink(async () => {
      held.resolve();
      throw new Error('leaving');
    });
    await one.send('signet.mqtt.acme.dev-1.down.n', bytes('1'), { stored: true });
    await held.promise;
    await first[Symbol.asyncDispose]();
    const taken: string[] = [];
    await two.consumeDownlink(async ({ payload }) => {
      taken.push(textOf(payload));
    });
    await vi.waitFor(() => expect(taken).toEqual(['1']), 20_000);
  });

  it('hands a message to who listens for it, and waits; says where nobody does, or it failed', async () => {
    const [one, two] = [await harness().replica(), await harness().replica()];
    const subject = 'signet.hand.acme.dev-1.down.x';
    expect(await one.requestRaw(subject, bytes('1'))).toBe('nobody');
    const done: string[] = [];
    const listening = await two.listen(subject, async ({ payload }) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (textOf(payload) === 'bad') throw new Error('Redis is unavailable');
      done.push(textOf(payload));
    });
    expect(await one.requestRaw(subject, bytes('2'))).toBe('taken');
    expect(done).toEqual(['2']);
    await expect(one.requestRaw(subject, bytes('bad'))).rejects.toThrow('Redis is unavailable');
    await listening[Symbol.asyncDispose]();
    expect(await one.requestRaw(subject, bytes('3'))).toBe('nobody');
  });
}
