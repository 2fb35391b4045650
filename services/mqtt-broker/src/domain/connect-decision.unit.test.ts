import { RefusalCode } from '@signet/contracts';
import { describe, expect, it } from 'vitest';
import { decideConnect, returnCodeOf } from './connect-decision.ts';

const owner = { account: 'acme', deviceId: 'dev-1' };
const plain = { clientId: 'dev-1', protocolVersion: 4, keepAlive: 60, willTopic: undefined };

describe('a CONNECT', () => {
  it('is let in under the device id of its certificate', () => {
    expect(decideConnect(owner, plain, 1200)).toBeUndefined();
    expect(decideConnect(owner, { ...plain, willTopic: 'd/acme/dev-1/up/gone' }, 1200)).toBeUndefined();
  });

  it.each([
    [{ clientId: 'acme/dev-1' }, 'wrong-client-id', 2],
    [{ clientId: 'DEV-1' }, 'wrong-client-id', 2],
    [{ clientId: '' }, 'wrong-client-id', 2],
    [{ keepAlive: 0 }, 'malformed-request', 2],
    [{ keepAlive: 1201 }, 'malformed-request', 2],
    [{ willTopic: 'd/acme/dev-2/up/gone' }, 'topic-not-allowed', 5],
    [{ willTopic: 'd/acme/dev-1/up/#' }, 'topic-not-allowed', 5],
    [{ willTopic: '' }, 'topic-not-allowed', 5],
  ])('is refused with %j: %s, return code %i', (change, code, returnCode) => {
    expect(decideConnect(owner, { ...plain, ...change }, 1200)).toMatchObject({ code, returnCode });
  });

  it('every refusal has a return code of MQTT 3.1.1; what will pass says: try again', () => {
    for (const code of RefusalCode.options) expect([3, 4, 5]).toContain(returnCodeOf(code));
    for (const code of ['denylist-not-loaded', 'denylist-stale', 'unavailable', 'rate-limited'] as const)
      expect(returnCodeOf(code)).toBe(3);
    expect(returnCodeOf('denied')).toBe(5);
  });
});
