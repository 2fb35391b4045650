import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changeOwn, type DeviceConfig, emptyConfig } from './device-config.ts';
import { isUnmodified, modifiedAt } from './effective.ts';

const start = Date.parse('2026-03-01T12:00:00Z');

/** What the device does by the protocol: it keeps the time of the answer with the config that it got. */
type Client = { since?: string; version: number };

test('a client that polls gets every version, whatever second it is written or a key promoted in, and whatever the clock does', () => {
  const step = fc.record({
    /** Milliseconds that the clock moves; below zero it is set back. */
    move: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2500 }), fc.integer({ min: -5000, max: -1 })),
    does: fc.constantFrom('write', 'write', 'promote', 'poll', 'poll', 'lost poll'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = start;
      let own: DeviceConfig = emptyConfig('acme', 'pump-1');
      let promotedAt: string | undefined;
      let unread = false;
      const client: Client = { version: 0 };
      const poll = (isLost: boolean) => {
        const modified = modifiedAt({ own, account: undefined, groups: [] }, promotedAt);
        if (modified === 0) return;
        if (!unread && isUnmodified(client.since, modified, now)) return;
        unread = false;
        if (isLost) return;
        client.since = new Date(modified).toUTCString();
        client.version = own.version;
      };
      for (const { move, does } of steps) {
        now += move;
        if (does === 'write')
          own = changeOwn(own, {
            set: [{ name: 'a', value: `${own.version}`, unencrypted: true }],
            ...{ by: 'ada', reason: '', now },
          }).document;
        if (does === 'promote') {
          promotedAt = new Date(now).toISOString();
          unread = true;
        }
        if (does === 'poll') poll(false);
        if (does === 'lost poll') poll(true);
      }
      poll(false);
      expect(client.version).toBe(own.version);
    }),
    { numRuns: 3000 },
  );
});
