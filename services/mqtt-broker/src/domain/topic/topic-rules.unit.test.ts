import { mqttSubject, parseMqttSubject } from '@signet/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  mayHold,
  mayReceive,
  maySubscribe,
  type Owner,
  ownerOfKey,
  ownerOfTopic,
  publishLevels,
  sessionKey,
  topicMatches,
} from './topic-rules.ts';

const owner: Owner = { account: 'acme', deviceId: 'dev-1' };

/** Levels that tricks are made of. */
const level = fc.oneof(
  fc.constantFrom(
    ...['d', 'a', 'acme', 'rival', 'dev-1', 'dev-2', 'up', 'down', 'shared', '#', '+', '', '$SYS', '$share'],
    ...['%23', '%2F', '%2e%2e', '..', '.', '*', '>', '＃', '\u202e', '\0', 'dev-1 ', 'ACME', 'dev‑1'],
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const anyTopic = fc.array(level, { maxLength: 8 }).map((levels) => levels.join('/'));
const account = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,39}$/);
const device = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);

describe('what a device may publish', () => {
  it('F74: nothing but what is below its own up/, whatever the topic looks like', () => {
    fc.assert(
      fc.property(anyTopic, (topic) => {
        const levels = publishLevels(owner, topic);
        if (levels === undefined) return;
        expect(topic).toBe(`d/acme/dev-1/up/${levels.join('/')}`);
        expect(levels.every((text) => text !== '' && !/[#+\0]/.test(text))).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('F66: on the bus it is below the subject of its account and device, and comes back as it was', () => {
    const plain = fc.array(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => !/[#+\0/]/.test(text)),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(account, device, plain, (name, deviceId, levels) => {
        const own = { account: name, deviceId };
        const allowed = publishLevels(own, ['d', name, deviceId, 'up', ...levels].join('/'));
        expect(allowed).toEqual(levels);
        const subject = mqttSubject(name, deviceId, 'up', levels);
        expect(subject.startsWith(`signet.mqtt.${name}.${deviceId}.up.`)).toBe(true);
        expect(subject).toMatch(/^[A-Za-z0-9_.%-]+$/);
        expect(parseMqttSubject(subject)).toEqual({ account: name, device: deviceId, way: 'up', levels });
      }),
    );
  });

  it.each(['d/acme/dev-1/up', 'd/acme/dev-1/up/', 'd/acme/dev-1/up//', 'd/acme/dev-1/up/a/', '', '/'])(
    'not to %j: an empty level has no name on the bus',
    (topic) => {
      expect(publishLevels(owner, topic)).toBeUndefined();
    },
  );
});

describe('what a device may subscribe to', () => {
  it('F74: no filter that it may hold takes in a topic of another device or account', () => {
    const filters = fc.oneof(
      anyTopic,
      fc
        .array(level, { minLength: 1, maxLength: 4 })
        .map((levels) => `d/acme/dev-1/down/${levels.join('/')}`),
      fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => `a/acme/shared/${levels.join('/')}`),
    );
    fc.assert(
      fc.property(filters, anyTopic, (filter, topic) => {
        if (!maySubscribe(owner, filter) || !topicMatches(filter, topic)) return;
        expect(topic).toMatch(/^(d\/acme\/dev-1\/down|a\/acme\/shared)(\/|$)/);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ...['#', '+', '+/#', 'd/#', 'd/acme/#', 'd/acme/+/down/x', 'd/+/dev-1/down/x', '+/acme/dev-1/down/x'],
    ...['d/acme/dev-1/#', 'd/acme/dev-1/+/x', 'd/acme/dev-1/down', 'd/acme/dev-1/down#', 'd/acme/dev-1/up/#'],
    ...['d/acme/dev-1/down/#/x', 'd/acme/dev-1/down/x#', 'd/acme/dev-1/down/x+', 'd/acme/dev-10/down/#'],
    ...['d/acme/dev-1%2Fdown/#', 'D/acme/dev-1/down/#', '/d/acme/dev-1/down/#', ' d/acme/dev-1/down/#'],
    ...['$SYS/#', '$share/g/d/acme/dev-1/down/#', 'a/acme/shared', 'a/+/shared/x', 'a/rival/shared/x', ''],
  ])('not to %j', (filter) => {
    expect(maySubscribe(owner, filter)).toBe(false);
    expect(mayHold('acme/dev-1', filter)).toBe(false);
  });

  it.each(['d/acme/dev-1/down/#', 'd/acme/dev-1/down/+', 'd/acme/dev-1/down/a/+/b', 'a/acme/shared/#'])(
    'to %j',
    (filter) => {
      expect(maySubscribe(owner, filter)).toBe(true);
      expect(mayHold('acme/dev-1', filter)).toBe(true);
      expect(mayHold('rival/dev-1', filter)).toBe(false);
    },
  );

  it('nothing that bears a wildcard is handed to it, whoever sent it', () => {
    expect(mayReceive(owner, 'd/acme/dev-1/down/x')).toBe(true);
    for (const topic of ['d/acme/dev-1/down/#', 'd/acme/dev-1/down/+', 'd/acme/dev-2/down/x'])
      expect(mayReceive(owner, topic)).toBe(false);
  });
});

describe('session keys and topics', () => {
  it('a key stands for one device', () => {
    fc.assert(
      fc.property(account, device, (name, deviceId) => {
        expect(ownerOfKey(sessionKey({ account: name, deviceId }))).toEqual({ account: name, deviceId });
        expect(ownerOfTopic(`d/${name}/${deviceId}/down/x`)).toEqual({ account: name, deviceId });
      }),
    );
    for (const key of ['', 'acme', 'acme/', '/dev-1', 'a/b/c']) expect(ownerOfKey(key)).toBeUndefined();
  });

  it.each([
    ['a/#', 'a/b/c', true],
    ['a/#', 'a', true],
    ['a/+', 'a/b', true],
    ['a/+', 'a/b/c', false],
    ['a/+/c', 'a/b/c', true],
    ['a/b', 'a/c', false],
    ['#', 'a', true],
  ])('%s and %s: %s (MQTT 3.1.1 §4.7.1)', (filter, topic, matches) => {
    expect(topicMatches(filter, topic)).toBe(matches);
  });
});
