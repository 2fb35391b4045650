import { expect, it, vi } from 'vitest';
import type { BusHarness } from '../harness.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

export function messageContract(harness: () => BusHarness): void {
  it('lets every listener hear plain and stored messages under one subject', async () => {
    const [one, two] = [await harness().replica(), await harness().replica()];
    const heard: string[] = [];
    for (const [name, bus] of [
      ['one', one],
      ['two', two],
    ] as const) {
      await bus.listen('signet.mqtt.acme.*.up.>', ({ subject, payload }) => {
        heard.push(`${name} ${subject} ${new TextDecoder().decode(payload)}`);
      });
    }
    await one.send('signet.mqtt.acme.dev-1.up.a.b', bytes('plain'));
    await one.send('signet.mqtt.acme.dev-1.up.a', bytes('stored'), { stored: true });
    await one.send('signet.mqtt.rival.dev-1.up.a', bytes('of another account'));
    await one.send('signet.mqtt.acme.dev-1.up', bytes('too short'));
    await vi.waitFor(() => {
      expect(heard.sort()).toEqual([
        'one signet.mqtt.acme.dev-1.up.a stored',
        'one signet.mqtt.acme.dev-1.up.a.b plain',
        'two signet.mqtt.acme.dev-1.up.a stored',
        'two signet.mqtt.acme.dev-1.up.a.b plain',
      ]);
    }, 10_000);
  });

  it('stores many messages that are on their way at a time, each once, those of a device in their order', async () => {
    const [sender, listener] = [await harness().replica(), await harness().replica()];
    const heard = new Map<string, number[]>();
    await listener.listen('signet.mqtt.acme.*.up.n', ({ subject, payload }) => {
      const numbers = heard.get(subject) ?? [];
      heard.set(subject, numbers);
      numbers.push(Number(new TextDecoder().decode(payload)));
    });
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    const subjects = ['dev-1', 'dev-2', 'dev-3'].map((device) => `signet.mqtt.acme.${device}.up.n`);
    await Promise.all(
      numbers.flatMap((n) =>
        subjects.map((subject) =>
          sender.send(subject, bytes(String(n)), { stored: true, deadlineMs: 20_000 }),
        ),
      ),
    );
    await vi.waitFor(() => {
      for (const subject of subjects) expect(heard.get(subject)).toEqual(numbers);
    }, 10_000);
  });

  it('goes on with the other messages when a listener throws, and ends a listener on disposal', async () => {
    const bus = await harness().replica();
    const heard: string[] = [];
    const listening = await bus.listen('signet.denylist.head', ({ payload }) => {
      heard.push(new TextDecoder().decode(payload));
      if (heard.length === 1) throw new Error('once');
    });
    await bus.send('signet.denylist.head', bytes('1'));
    await bus.send('signet.denylist.head', bytes('2'));
    await vi.waitFor(() => expect(heard).toEqual(['1', '2']), 10_000);
    await listening[Symbol.asyncDispose]();
    const other: string[] = [];
    await bus.listen('signet.denylist.head', ({ payload }) => {
      other.push(new TextDecoder().decode(payload));
    });
    await bus.send('signet.denylist.head', bytes('3'));
    await vi.waitFor(() => expect(other).toEqual(['3']), 10_000);
    expect(heard).toEqual(['1', '2']);
  });
}
