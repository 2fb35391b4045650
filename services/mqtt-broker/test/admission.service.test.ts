import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, openBrokerFixture } from './fixture.ts';

let broker: BrokerFixture;
beforeEach(async () => {
  broker = await openBrokerFixture();
});
afterEach(() => broker[Symbol.asyncDispose]());

describe('who is let in at 8883', () => {
  it('F27: an operational certificate connects; the platform is told of its session', async () => {
    const identity = broker.fixture.pki.operational('acme', 'dev-1');
    const client = await broker.connected(identity);
    const { account, subject, data } = await broker.event('DEVICE_CONNECTED');
    expect({ account, subject }).toEqual({ account: 'acme', subject: 'dev-1' });
    expect(data).toMatchObject({
      deviceId: 'dev-1',
      fingerprint: identity.certificate.fingerprint,
      serialNumber: identity.certificate.serialNumber,
      address: '127.0.0.1',
    });
    await client.endAsync();
    const left = await broker.event('DEVICE_DISCONNECTED');
    expect(left.data).toMatchObject({ sessionId: data.sessionId, reason: 'client' });
  });

  it('F27: a bootstrap certificate is refused at 8883, an operational one at 8884', async () => {
    const { pki } = broker.fixture;
    expect(await broker.refusal(pki.bootstrap('dev-1'))).toBe(5);
    const operational = pki.operational('acme', 'dev-1');
    const credentials = { username: 'u', password: 'p', at: broker.provisioningPort };
    expect(await broker.refusal(operational, credentials)).toBe(5);
    expect((await broker.event('DEVICE_REFUSED')).data.code).toBe('wrong-purpose');
    expect((await broker.event('BOOTSTRAP_REFUSED')).data).toMatchObject({
      code: 'wrong-purpose',
      listener: 'mqtt-provisioning',
    });
  });
});
