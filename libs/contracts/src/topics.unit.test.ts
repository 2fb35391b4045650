import { deviceTopic, parseDeviceTopic, provisioningTopic, sharedTopic, spiffeId } from '@signet/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const account = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,39}$/);
const device = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);
const levels = fc.array(
  fc.string({ minLength: 1 }).filter((text) => !text.includes('/')),
  { minLength: 1 },
);

describe('the topic of a device', () => {
  test('gives its parts back', () => {
    const way = fc.constantFrom('up' as const, 'down' as const);
    fc.assert(
      fc.property(fc.record({ account, device, way, levels }), (topic) => {
        expect(parseDeviceTopic(deviceTopic(topic))).toEqual(topic);
      }),
    );
  });

  test.each([
    'd',
    'd/acme',
    'd/acme/pump-17',
    'd/acme/pump-17/up',
    'd/acme/pump-17/sideways/x',
    'D/acme/pump-17/up/x',
    '/d/acme/pump-17/up/x',
    'd/acme/pump-17//x',
    '#',
    '+/acme/pump-17/up/x',
    '$share/g/d/acme/pump-17/down/x',
  ])('is not %s', (topic) => expect(parseDeviceTopic(topic)).toBeUndefined());

  test.each(['d/+/pump-17/up/x', 'd/acme/+/up/x', 'd/acme/#/up/x'])(
    'keeps the wildcard of %s where the account or device stands, so that no identity equals it',
    (topic) => {
      const parsed = parseDeviceTopic(topic);
      expect([parsed?.account, parsed?.device]).toContainEqual(expect.stringMatching(/^[+#]$/));
    },
  );

  test('keeps empty levels, so that whoever bridges them can refuse them', () => {
    expect(parseDeviceTopic('d/acme/pump-17/up//x')?.levels).toEqual(['', 'x']);
    expect(parseDeviceTopic('d/acme/pump-17/up/')?.levels).toEqual(['']);
  });
});

test('the shared topic, the provisioning exchange and the SPIFFE id have one form each', () => {
  expect(sharedTopic('acme', ['news', 'a'])).toBe('a/acme/shared/news/a');
  expect(provisioningTopic('pump-17', 'request')).toBe('$signet/pump-17/provisioning/request');
  expect(provisioningTopic('pump-17', 'reply')).toBe('$signet/pump-17/provisioning/reply');
  expect(spiffeId('signet.local', 'acme', 'pump-17')).toBe('spiffe://signet.local/acme/device/pump-17');
});

test('a SPIFFE id is a URI whose path is the account and the device, whatever they are', () => {
  fc.assert(
    fc.property(account, device, (account, device) => {
      const uri = new URL(spiffeId('signet.local', account, device));
      expect([uri.protocol, uri.host, uri.pathname]).toEqual([
        'spiffe:',
        'signet.local',
        `/${account}/device/${device}`,
      ]);
    }),
  );
});
