import { addIdentity, applyCrlToDevices, blockDevices, getDevice, identifyDevices } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ACCOUNT, type BootstrapFixture, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let fixture: BootstrapFixture;
beforeEach(async () => {
  fixture = await openBootstrapFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

async function makeWithSerial(deviceId: string) {
  const made = await fixture.make(deviceId);
  await fixture.claim(made.fingerprint);
  const [event] = (await fixture.events('DEVICE_MANUFACTURED', 1)).filter(
    ({ data }) => data.fingerprint === made.fingerprint,
  );
  const { serialNumber } = parseCertificatePem(made.identity.cert);
  return { ...made, serialNumber, authorityId: event?.data.factoryCa ?? '' };
}

const ISSUER = 'ab'.repeat(20);
type Said = { listed?: string[]; unlisted?: string[]; held?: string[]; released?: string[] };

/** What a CRL says of bootstrap certificates, and of operational ones of `dev-1` (`held`, `released`). */
const apply = (authorityId: string, said: Said, source = 'maker', number = '118') => {
  const { listed = [], unlisted = [], held = [], released = [] } = said;
  const reason = 'keyCompromise';
  const holder = (serialNumber: string) => ({ account: ACCOUNT, deviceId: 'dev-1', serialNumber });
  return fixture.fixture.deps.bus.request(applyCrlToDevices, {
    ...{ account: ACCOUNT, source, number, issuerKeyId: ISSUER, authorityIds: [authorityId], unlisted },
    listed: listed.map((serialNumber) => ({ serialNumber, reason })),
    holders: {
      listed: held.map((serialNumber) => ({ ...holder(serialNumber), reason })),
      unlisted: released.map(holder),
    },
  });
};

const stateOf = (fingerprint: string) =>
  fixture.fixture.deps.bus.request(getDevice, { account: ACCOUNT, fingerprint });

describe('a certificate in the CRL of a foreign PKI', () => {
  it('F30: its device is blocked with the number of the CRL, DEVICE_BLOCKED is sent; unlisted, it is unblocked', async () => {
    const { serialNumber, authorityId, fingerprint } = await makeWithSerial('dev-1');
    const stranger = 'ab'.repeat(16);
    expect(await apply(authorityId, { listed: [serialNumber, stranger] })).toEqual({
      blocked: ['dev-1'],
      unblocked: [],
    });
    const [event] = await fixture.events('DEVICE_BLOCKED', 1);
    expect(event).toMatchObject({
      subject: 'dev-1',
      data: { fingerprint, reason: 'CRL 118 of "maker": keyCompromise', by: 'CRL source maker' },
    });
    expect(await apply(authorityId, { listed: [serialNumber] })).toEqual({ blocked: [], unblocked: [] });
    expect(await apply(authorityId, { unlisted: [serialNumber] }, 'other')).toMatchObject({ unblocked: [] });
    expect(await apply(authorityId, { unlisted: [serialNumber] })).toMatchObject({ unblocked: ['dev-1'] });
    await fixture.events('DEVICE_UNBLOCKED', 1);
  });

  it('F30: an operational one blocks the device that holds it', async () => {
    const { authorityId, fingerprint } = await makeWithSerial('dev-1');
    expect(await apply(authorityId, { held: ['77'] })).toEqual({ blocked: ['dev-1'], unblocked: [] });
    expect(await stateOf(fingerprint)).toMatchObject({
      state: 'blocked',
      reason: 'CRL 118 of "maker": keyCompromise',
    });
    await fixture.events('DEVICE_BLOCKED', 1);
    expect(await apply(authorityId, { released: ['77'] })).toMatchObject({ unblocked: ['dev-1'] });
    expect(await stateOf(fingerprint)).toMatchObject({ state: 'claimed' });
  });

  it('F30: a device with two that are listed, in two CRLs, is unblocked when the last is gone', async () => {
    const { serialNumber, authorityId, fingerprint } = await makeWithSerial('dev-1');
    await apply(authorityId, { listed: [serialNumber], held: ['77'] });
    await apply(authorityId, { held: ['77'] }, 'owner', '5');
    expect(await apply(authorityId, { unlisted: [serialNumber] })).toMatchObject({ unblocked: [] });
    expect(await stateOf(fingerprint)).toMatchObject({ state: 'blocked' });
    await apply(authorityId, { released: ['77'] });
    expect(await stateOf(fingerprint)).toMatchObject({
      state: 'blocked',
      reason: 'CRL 5 of "owner": keyCompromise',
    });
    await apply(authorityId, { released: ['77'] }, 'owner');
    expect(await stateOf(fingerprint)).toMatchObject({ state: 'claimed' });
    await fixture.events('DEVICE_UNBLOCKED', 1);
  });

  it('F30: what an operator blocked stays blocked when the CRL lets it go', async () => {
    const { serialNumber, authorityId, fingerprint } = await makeWithSerial('dev-1');
    await apply(authorityId, { listed: [serialNumber] });
    const { bus } = fixture.fixture.deps;
    await bus.request(blockDevices, {
      account: ACCOUNT,
      deviceIds: ['dev-1'],
      reason: 'stolen',
      by: 'ada',
    });
    expect(await apply(authorityId, { unlisted: [serialNumber] })).toMatchObject({ unblocked: [] });
    expect(await stateOf(fingerprint)).toMatchObject({ state: 'blocked', reason: 'stolen' });
  });

  it('F15 F30: its second bootstrap certificate counts as the first', async () => {
    const { authorityId, fingerprint } = await makeWithSerial('dev-1');
    const { pki } = fixture.fixture;
    const own = pki.authority({ kind: 'factory', account: ACCOUNT, subject: { commonName: 'Own CA' } });
    fixture.fixture.setAuthorities([...pki.authorities, own]);
    const second = pki.bootstrap('dev-1', { signedBy: own });
    const { bus } = fixture.fixture.deps;
    await bus.request(addIdentity, { account: ACCOUNT, fingerprint, certificate: second.cert, by: 'ada' });
    const { authorityKeyId = '', serialNumber } = parseCertificatePem(second.cert);
    const said = {
      account: ACCOUNT,
      source: 'maker',
      number: '118',
      authorityIds: [authorityId],
      unlisted: [],
    };
    const listed = [{ serialNumber, reason: 'keyCompromise' }];
    expect(await bus.request(applyCrlToDevices, { ...said, listed, issuerKeyId: ISSUER })).toMatchObject({
      blocked: [],
    });
    expect(
      await bus.request(applyCrlToDevices, { ...said, listed, issuerKeyId: authorityKeyId }),
    ).toMatchObject({ blocked: ['dev-1'] });
  });

  it('is told who it is by either of its names, whatever account claimed it', async () => {
    const { fingerprint } = await makeWithSerial('dev-1');
    const { bus } = fixture.fixture.deps;
    const device = { deviceId: 'dev-1', fingerprint, account: ACCOUNT };
    expect((await bus.request(identifyDevices, { fingerprints: [fingerprint] })).devices).toMatchObject([
      device,
    ]);
    const byId = await bus.request(identifyDevices, { account: ACCOUNT, deviceIds: ['dev-1', 'nobody'] });
    expect(byId.devices).toMatchObject([device]);
    expect((await bus.request(identifyDevices, { account: 'other', deviceIds: ['dev-1'] })).devices).toEqual(
      [],
    );
  });
});
