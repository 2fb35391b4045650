import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventOf } from './authority.ts';
import { type CrlFixture, DENIED, openCrlFixture, until } from './crl-fixture.ts';

let crls: CrlFixture;
beforeEach(async () => {
  crls = await openCrlFixture('issuing');
});
afterEach(() => crls[Symbol.asyncDispose]());

const holder = (serialNumber: string) => ({ account: 'acme', deviceId: 'dev-1', serialNumber });

/** The device is met with its certificate: at the broker, or refused at any listener. */
const met = (serialNumber: string, type: 'DEVICE_CONNECTED' | 'DEVICE_REFUSED' | 'ENROLLMENT_REFUSED') => {
  const { issuerKeyId } = crls;
  const session = { sessionId: 's', node: 'n', address: '192.0.2.1', publicKeyHash: 'ab'.repeat(32) };
  const refusal = { code: 'denied' as const, message: 'deny list: …', listener: 'gateway', count: 1 };
  const data = type === 'DEVICE_CONNECTED' ? session : refusal;
  return crls.fixture.publish(eventOf(type, 1, { ...data, deviceId: 'dev-1', issuerKeyId, serialNumber }));
};

describe('an operational certificate in the CRL of a foreign PKI', () => {
  it('F30: made elsewhere, it is told as that of the device that connected with it; unlisted, likewise', async () => {
    crls.authority.keyElsewhere = true;
    await crls.start();
    const { list } = await crls.fixture.listener();
    const one = await crls.ca.sign('one');
    await met(one, 'DEVICE_CONNECTED');
    await crls.ca.revoke('one', 'certificateHold');
    await crls.add();
    await until(async () => {
      await crls.upload(await crls.ca.crl());
      expect(crls.told.flatMap(({ holders }) => holders?.listed ?? [])).toContainEqual({
        ...holder(one),
        reason: 'certificateHold',
      });
    });
    await until(() => expect(list.denied(crls.foreign(one))).toBe(DENIED));
    await crls.ca.unrevoke('one');
    await crls.upload(await crls.ca.crl());
    expect(crls.told.at(-1)).toMatchObject({
      authorityIds: [],
      unlisted: [one],
      holders: { listed: [], unlisted: [holder(one)] },
    });
    await until(() => expect(list.denied(crls.foreign(one))).toBeUndefined());
  });

  for (const type of ['DEVICE_REFUSED', 'ENROLLMENT_REFUSED'] as const)
    it(`F30: listed before anybody met its device, it is told at the first refusal (${type})`, async () => {
      crls.authority.keyElsewhere = true;
      await crls.start();
      const one = await crls.ca.sign('one');
      await crls.ca.revoke('one');
      await crls.add();
      await crls.upload(await crls.ca.crl());
      expect(crls.told).toMatchObject([{ number: '10', holders: { listed: [], unlisted: [] } }]);
      await met(one, type);
      await until(() =>
        expect(crls.told.at(-1)).toMatchObject({
          number: '10',
          listed: [{ serialNumber: one, reason: 'keyCompromise' }],
          holders: { listed: [{ ...holder(one), reason: 'keyCompromise' }], unlisted: [] },
        }),
      );
    });

  it('F30: issued here, it is told as that of the device that est-ca gave it to, but none of another account', async () => {
    await crls.start();
    const [one, two] = [await crls.ca.sign('one'), await crls.ca.sign('two')];
    crls.issued.push(holder(one), { ...holder(two), account: 'other' });
    for (const name of ['one', 'two']) await crls.ca.revoke(name);
    await crls.add();
    await crls.upload(await crls.ca.crl());
    expect(crls.told).toMatchObject([{ holders: { listed: [{ ...holder(one), reason: 'keyCompromise' }] } }]);
    expect(crls.told[0]?.holders?.listed).toHaveLength(1);
  });
});
