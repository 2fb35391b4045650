import {
  Account,
  DeviceId,
  deadSubject,
  decodeLevel,
  encodeLevel,
  eventFilter,
  eventSubject,
  mqttSubject,
  operationSubject,
  PARTITIONS,
  parseEventSubject,
  parseMqttSubject,
  partitionOf,
} from '@signet/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const account = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,39}$/);
const device = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);
/** A level of an MQTT topic: any Unicode text without "/" and NUL. */
const level = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[/\0]/.test(text));

describe('the subject of an event', () => {
  test('has the account first, then the partition, type and device', () => {
    const subject = eventSubject({ account: 'acme', type: 'CERT_ISSUED', subject: 'pump-17' });
    expect(subject).toBe(`signet.event.acme.p${partitionOf('acme', 'pump-17')}.CERT_ISSUED.pump-17`);
  });

  test('gives its parts back, whatever the account and device', () => {
    fc.assert(
      fc.property(account, device, (account, device) => {
        const subject = eventSubject({ account, type: 'CERT_ISSUED', subject: device });
        const partition = partitionOf(account, device);
        expect(subject.split('.')).toHaveLength(6);
        expect(parseEventSubject(subject)).toEqual({ account, partition, type: 'CERT_ISSUED', device });
      }),
    );
  });

  test.each([
    '',
    'signet.event.acme.p3.CERT_ISSUED',
    'signet.event.acme.p16.CERT_ISSUED.d',
    'signet.event.acme.3.CERT_ISSUED.d',
    'signet.event.acme.p3.CERT_ISSUED.d.e',
    'other.event.acme.p3.CERT_ISSUED.d',
    'signet.event..p3.CERT_ISSUED.d',
  ])('is not %j', (subject) => expect(parseEventSubject(subject)).toBeUndefined());
});

test('a filter leaves out what is not asked for', () => {
  expect(eventFilter({})).toBe('signet.event.*.*.*.*');
  expect(eventFilter({ account: 'acme', partition: 3, type: 'CERT_ISSUED', device: 'd' })).toBe(
    'signet.event.acme.p3.CERT_ISSUED.d',
  );
  expect(eventFilter({ partition: 0 })).toBe('signet.event.*.p0.*.*');
});

test('dead letters and operations have their own subjects', () => {
  expect(deadSubject('revocation-sync')).toBe('signet.dead.revocation-sync');
  expect(operationSubject('est-ca.revoke')).toBe('signet.rpc.est-ca.revoke');
});

describe('partitions', () => {
  test('are pinned: a change would break the order of events that are under way', () => {
    expect(['a', 'b', 'c', 'pump-17'].map((device) => partitionOf('acme', device))).toMatchInlineSnapshot(`
      [
        6,
        1,
        11,
        11,
      ]
    `);
  });

  test('lie between 0 and 15 and are all used', () => {
    const used = new Set(Array.from({ length: 1000 }, (_, i) => partitionOf('acme', `device-${i}`)));
    expect([...used].sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, i) => i));
  });
});

describe('an MQTT level on the bus', () => {
  test('comes back as it was, whatever its text', () => {
    fc.assert(fc.property(level, (text) => decodeLevel(encodeLevel(text)) === text));
  });

  test('is one token without wildcard, whatever its text', () => {
    fc.assert(fc.property(level, (text) => /^([A-Za-z0-9_-]|%[0-9A-F]{2})+$/.test(encodeLevel(text))));
  });

  test('never stands for two levels', () => {
    fc.assert(fc.property(level, level, (a, b) => (encodeLevel(a) === encodeLevel(b)) === (a === b)));
  });

  test.each([
    ['temp', 'temp'],
    ['a.b', 'a%2Eb'],
    ['*', '%2A'],
    ['>', '%3E'],
    ['%', '%25'],
    ['über', '%C3%BCber'],
    [' ', '%20'],
  ])('%j is %s', (text, token) => expect(encodeLevel(text)).toBe(token));

  test('is refused where it is empty', () => {
    expect(() => encodeLevel('')).toThrow(new RangeError('topic: an empty level cannot be bridged'));
  });
});

describe('the subject of a bridged message', () => {
  test('gives account, device, way and levels back', () => {
    fc.assert(
      fc.property(
        account,
        device,
        fc.constantFrom('up' as const, 'down' as const),
        fc.array(level, { minLength: 1, maxLength: 5 }),
        (account, device, way, levels) => {
          const subject = mqttSubject(account, device, way, levels);
          expect(parseMqttSubject(subject)).toEqual({ account, device, way, levels });
        },
      ),
    );
  });

  test.each([
    'signet.mqtt.acme.d.up',
    'signet.mqtt.acme.d.side.x',
    'signet.mqtt.acme..up.x',
    'signet.event.acme.d.up.x',
  ])('is not %s', (subject) => expect(parseMqttSubject(subject)).toBeUndefined());
});

describe('identifiers are single tokens', () => {
  test.each(['', 'A', 'a.b', 'a*', '-a', 'a_b', 'ä', 'a'.repeat(41), 'a\n'])(
    'account %j is refused',
    (text) => {
      expect(Account.safeParse(text).success).toBe(false);
    },
  );
  test.each(['', 'a.b', 'a/b', '+', '#', '>', '-a', '_a', 'ä', 'a'.repeat(65), 'a\n'])(
    'device id %j is refused',
    (text) => expect(DeviceId.safeParse(text).success).toBe(false),
  );
});
