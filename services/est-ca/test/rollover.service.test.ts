import { createAuthorities } from '@signet/contracts';
import { createCsr, decodeCertsOnly, encodePem, generateKeyPair, parseCertificate } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorities } from '../src/domain/authority/authority.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

const account = 'rolling';
const by = 'ada';
let est: EstFixture;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  est = stack.use(await openEstFixture());
  await est.fixture.deps.bus.request(createAuthorities, { account, by });
});
afterAll(() => stack.disposeAsync());

function renewal({ issued }: EnrolledDevice, identity: EnrolledDevice['operational']) {
  const { privateKey } = generateKeyPair('P-256');
  const path = `/.well-known/est/${account}/simplereenroll`;
  return call(est, enrolment({ subjectDer: issued.subjectDer, privateKey }, { path, identity }));
}
const cacerts = async () => {
  const { body } = await call(est, { path: `/.well-known/est/${account}/cacerts` });
  return decodeCertsOnly(new Uint8Array(Buffer.from(body, 'base64'))).map(parseCertificate);
};

describe('when another issuing CA takes over', () => {
  it('F47: certificates of the one before still renew, and are the new one’s from then on (RFC 7030 §4.2.2)', async () => {
    const device = await enrolledDevice(est, 'dev-before', account);
    const { authorities: made } = await est.fixture.deps.bus.request(createAuthorities, {
      ...{ account, by },
      kinds: ['issuing'],
    });
    const renewed = issuedIn(await renewal(device, device.operational));
    expect(renewed.authorityKeyId).toBe(made[0]?.subjectKeyId);
    expect(renewed.authorityKeyId).not.toBe(device.issued.authorityKeyId);
    expect(renewed.subjectDer).toEqual(device.issued.subjectDer);
  });

  it('F53: a look-alike renews nothing: the same Subject and names, from a CA that bears the same name', async () => {
    const device = await enrolledDevice(est, 'dev-twin', account);
    await using forger = await openOwnRoot(device.issued.issuer.commonName ?? '');
    const { privateKey } = generateKeyPair('P-256');
    const csr = createCsr({ subjectDer: device.issued.subjectDer, privateKey });
    const certificate = await forger.sign(encodePem('CERTIFICATE REQUEST', csr), {
      extensions: [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=clientAuth',
        'subjectKeyIdentifier=hash',
        'authorityKeyIdentifier=keyid',
        `subjectAltName=URI:${device.issued.sans.uris[0]}`,
      ],
    });
    const reply = await renewal(device, { certificate, privateKey });
    expect(reply.status).toBe(403);
    expect(issuedIn(await renewal(device, device.operational)).subject.commonName).toBe('dev-twin');
  });
});

describe('cacerts (RFC 7030 §4.1.3)', () => {
  it('gives no CA twice, and none that has expired or is out of force', async () => {
    const own = await est.fixture.deps.store.collection(authorities);
    const before = await cacerts();
    expect(new Set(before.map(({ fingerprint }) => fingerprint)).size).toBe(before.length);
    const { items } = await own.find({ index: 'kind', equals: { account, kind: 'factory' } });
    const [factory] = items;
    if (factory === undefined) throw new Error('no factory CA');
    const keyIds = async () => (await cacerts()).map(({ subjectKeyId }) => subjectKeyId);
    expect(await keyIds()).toContain(factory.subjectKeyId);
    const notAfter = new Date(Date.now() - 1000).toISOString();
    await own.update(factory.id, (current) => ({ document: { ...current, notAfter } }));
    expect(await keyIds()).not.toContain(factory.subjectKeyId);
  });
});
