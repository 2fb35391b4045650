import { MAX_SUBJECT_BYTES } from '@signet/contracts';
import { expect, it, vi } from 'vitest';
import type { BusHarness } from '../harness.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const below = (root: string, length: number) => root + 'x'.repeat(length - root.length);

export function boundsContract(harness: () => BusHarness): void {
  it('a subject that is too long fails whoever uses it, and nobody else', async () => {
    const [sender, listener] = [await harness().replica(), await harness().replica()];
    const heard: string[] = [];
    await listener.listen('signet.mqtt.acme.dev-1.up.>', ({ payload }) => {
      heard.push(new TextDecoder().decode(payload));
    });
    const tooLong = below('signet.mqtt.acme.dev-1.up.', 5000);
    const attempts = {
      plain: () => sender.send(tooLong, bytes('x')),
      stored: () => sender.send(tooLong, bytes('x'), { stored: true }),
      'stored for a device': () =>
        sender.send(below('signet.mqtt.acme.dev-1.down.', 5000), bytes('x'), { stored: true }),
      'in letters of several bytes': () =>
        sender.send(`signet.mqtt.acme.dev-1.up.${'ü'.repeat(2000)}`, bytes('x')),
      'listened to': () => sender.listen(tooLong, () => {}),
      requested: () => sender.requestRaw(tooLong, bytes('x')),
    };
    for (const [what, attempt] of Object.entries(attempts))
      await expect(attempt(), what).rejects.toMatchObject({ code: 'too-large' });
    await sender.send('signet.mqtt.acme.dev-1.up.x', bytes('after'), { stored: true });
    await vi.waitFor(() => expect(heard).toEqual(['after']), 10_000);
    expect(harness().lines.map(({ message }) => message)).not.toContain('lost NATS; reconnecting');
    expect(sender.failure()).toBeUndefined();
  });

  it('carries the longest subject, plain, stored, for a device and requested', async () => {
    const [sender, listener] = [await harness().replica(), await harness().replica()];
    const heard: string[] = [];
    await listener.listen('signet.mqtt.acme.dev-1.up.>', ({ payload }) => {
      heard.push(new TextDecoder().decode(payload));
    });
    const up = below('signet.mqtt.acme.dev-1.up.', MAX_SUBJECT_BYTES);
    await sender.send(up, bytes('plain'));
    await sender.send(up, bytes('stored'), { stored: true, deadlineMs: 20_000 });
    const taken: number[] = [];
    await listener.consumeDownlink(async ({ subject }) => void taken.push(subject.length));
    const down = below('signet.mqtt.acme.dev-1.down.', MAX_SUBJECT_BYTES);
    await sender.send(down, bytes('x'), { stored: true, deadlineMs: 20_000 });
    const handed: number[] = [];
    await listener.listen('signet.hand.acme.dev-1.down.>', ({ subject }) => void handed.push(subject.length));
    const hand = below('signet.hand.acme.dev-1.down.', MAX_SUBJECT_BYTES);
    expect(await sender.requestRaw(hand, bytes('x'))).toBe('taken');
    await vi.waitFor(() => {
      expect(heard.toSorted()).toEqual(['plain', 'stored']);
      expect(taken).toEqual([MAX_SUBJECT_BYTES]);
      expect(handed).toEqual([MAX_SUBJECT_BYTES]);
    }, 20_000);
    expect(harness().lines.map(({ message }) => message)).not.toContain('lost NATS; reconnecting');
  });
}
