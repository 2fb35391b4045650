import { RefusalCode } from '@signet/contracts';
import { describe, expect, it } from 'vitest';
import { decideConnect, isLeftToTcp, returnCodeOf } from './connect-decision.ts';

const owner = { account: 'acme', deviceId: 'dev-1' };
const plain = { clientId: 'dev-1', keepAlive: 60, willTopic: undefined, willBytes: 0 };

describe('a CONNECT', () => {
  it('is let in under the device id of its certificate', () => {
    expect(decideConnect(owner, plain, 10)).toBeUndefined();
    expect(
      decideConnect(owner, { ...plain, willTopic: 'd/acme/dev-1/up/gone', willBytes: 10 }, 10),
    ).toBeUndefined();
  });

  it.each([
    [{ clientId: 'acme/dev-1' }, 'wrong-client-id', 2],
    [{ clientId: 'DEV-1' }, 'wrong-client-id', 2],
    [{ clientId: '' }, 'wrong-client-id', 2],
    [{ willTopic: 'd/acme/dev-1/up/gone', willBytes: 11 }, 'packet-too-large', 5],
    [{ willTopic: 'd/acme/dev-2/up/gone' }, 'topic-not-allowed', 5],
    [{ willTopic: 'd/acme/dev-1/up/#' }, 'topic-not-allowed', 5],
    [{ willTopic: '' }, 'topic-not-allowed', 5],
  ])('is refused with %j: %s, return code %i', (change, code, returnCode) => {
    expect(decideConnect(owner, { ...plain, ...change }, 10)).toMatchObject({ code, returnCode });
  });

  it.each([
    [0, true],
    [1, false],
    [1200, false],
    [1201, true],
    [65_535, true],
  ])(
    'with a keep-alive of %i s is let in; TCP finds out alone whether it is there: %s',
    (keepAlive, isLeft) => {
      expect(decideConnect(owner, { ...plain, keepAlive }, 10)).toBeUndefined();
      expect(isLeftToTcp({ ...plain, keepAlive }, 1200)).toBe(isLeft);
    },
  );

  it('every refusal has a return code of MQTT 3.1.1; what will pass says: try again', () => {
    for (const code of RefusalCode.options) expect([3, 4, 5]).toContain(returnCodeOf(code));
    for (const code of ['denylist-not-loaded', 'denylist-stale', 'unavailable', 'rate-limited'] as const)
      expect(returnCodeOf(code)).toBe(3);
    expect(returnCodeOf('denied')).toBe(5);
  });
});
