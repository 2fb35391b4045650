import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  describeRootCrl,
  registerRoot,
  requestAuthority,
  setAuthorityState,
  uploadAuthority,
  uploadRootCrl,
} from '@signet/contracts';
import { type CrlInput, createCrl, encodePem, keySigner, parseCertificatePem, parseCrl } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { intermediate, type OwnRoot, openOwnRoot } from './support/own-root.ts';
import { enrolledDevice } from './support/scene.ts';

const DAY = 86_400_000;
const account = 'offline';
const by = 'ada';
let ahead = 0;
const now = () => Date.now() + ahead;
let est: EstFixture;
let root: OwnRoot;
let rootId: string;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  est = stack.use(await openEstFixture({ now }));
  root = stack.use(await openOwnRoot('Offline Root'));
  const statement = await root.state({ action: 'register-root', account, subject: root.fingerprint });
  const certificate = root.certificate;
  const registered = await request(registerRoot, { account, certificate, statement, by });
  rootId = registered.authority.authorityId;
});
afterAll(() => stack.disposeAsync());

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);
const crlUrl = () => `http://localhost:${est.service.httpPort}/crl/${rootId}.crl`;
const served = () => fetch(`http://127.0.0.1:${est.service.httpPort}/crl/${rootId}.crl`);
const which = () => ({ account, authorityId: rootId });

async function issuingCa() {
  const asked = await request(requestAuthority, { account, kind: 'issuing', by });
  const extensions = [
    ...intermediate,
    `crlDistributionPoints=URI:${crlUrl()}`,
    `authorityInfoAccess=caIssuers;URI:http://localhost:${est.service.httpPort}/ca/${rootId}.cer`,
  ];
  const certificate = await root.sign(asked.csr, { extensions });
  const { fingerprint } = parseCertificatePem(certificate);
  const statement = await root.state({ action: 'upload', account, subject: fingerprint });
  await request(uploadAuthority, { account, certificate, statement, by });
  return { authorityId: asked.requestId, certificate: parseCertificatePem(certificate) };
}

async function revoke(authorityId: string) {
  const statement = await root.state({ action: 'revoke', account, subject: authorityId });
  const revocationReason = 'cACompromise' as const;
  const wanted = { account, authorityId, state: 'revoked', revocationReason, statement, by } as const;
  await request(setAuthorityState, wanted);
}

/** A CRL that the owner signs; what is not given is correct. */
async function signed(changes: Partial<CrlInput> = {}, key = root.privateKey): Promise<string> {
  const { request: wanted } = await request(describeRootCrl, which());
  const der = await createCrl({
    issuer: parseCertificatePem(root.certificate),
    signer: keySigner(key),
    number: wanted.number,
    thisUpdate: now(),
    nextUpdate: now() + 365 * DAY,
    entries: wanted.entries.map(({ serialNumber, revokedAt, reason }) => ({
      serialNumber,
      revokedAt: Date.parse(revokedAt),
      ...(reason === undefined ? {} : { reason }),
    })),
    ...changes,
  });
  return encodePem('X509 CRL', der);
}

const upload = (crl: string) => request(uploadRootCrl, { ...which(), crl, by });

describe('the CRL of a root that its account keeps', () => {
  it('is signed offline, uploaded, and served where the certificates below it say; openssl refuses what a revoked CA signed', async () => {
    expect((await served()).status).toBe(404);
    const first = await issuingCa();
    const { issued } = await enrolledDevice(est, 'dev-1', account);
    await upload(await signed());
    const answer = await served();
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/pkix-crl']);
    expect(parseCrl(new Uint8Array(await answer.arrayBuffer()))).toMatchObject({ number: 1n, entries: [] });
    expect(parseCertificatePem(first.certificate.pem()).crlUrls).toEqual([crlUrl()]);
    const event = await est.event('CRL_PUBLISHED', ({ subject }) => subject === rootId);
    expect(event.data).toMatchObject({ number: 1, entries: 0, delta: false });

    await revoke(first.authorityId);
    const check = async () => (await est.fixture.deps.health.report()).checks['est-ca.root-crls'];
    await vi.waitFor(async () =>
      expect(await check()).toMatchObject({ reason: expect.stringContaining(first.authorityId) }),
    );
    await upload(await signed());
    await vi.waitFor(async () => expect(await check()).not.toHaveProperty('reason'));
    const der = new Uint8Array(await (await served()).arrayBuffer());
    expect(parseCrl(der).entries).toMatchObject([
      { serialNumber: first.certificate.serialNumber, reason: 'cACompromise' },
    ]);
    const issuingCrl = await fetch(`http://127.0.0.1:${est.service.httpPort}/crl/${first.authorityId}.crl`);
    const crls = [der, new Uint8Array(await issuingCrl.arrayBuffer())];
    await writeFile(join(root.folder, 'crls.pem'), crls.map((one) => encodePem('X509 CRL', one)).join(''));
    await writeFile(join(root.folder, 'ca.pem'), first.certificate.pem());
    await writeFile(join(root.folder, 'leaf.pem'), issued.pem());
    const verify = ['verify', '-crl_check_all', '-CRLfile', 'crls.pem', '-CAfile', 'root.pem'];
    const at = ['-attime', String(Math.floor(now() / 1000) + 1)];
    expect(() => root.openssl(...verify, ...at, '-untrusted', 'ca.pem', 'leaf.pem')).toThrow(/revoked/);
  });

  it('may be signed by openssl alone', async () => {
    const { request: wanted } = await request(describeRootCrl, which());
    const lines = wanted.entries.map(({ serialNumber, revokedAt }) => {
      const at = `${revokedAt.replace(/[-:T]|\..*/g, '').slice(2)}Z`;
      return `R\t991231235959Z\t${at},CACompromise\t${serialNumber.toUpperCase()}\tunknown\t/CN=ca`;
    });
    await writeFile(join(root.folder, 'index.txt'), `${lines.join('\n')}\n`);
    await writeFile(join(root.folder, 'number'), `${wanted.number.toString(16).padStart(2, '0')}\n`);
    await writeFile(
      join(root.folder, 'crl.cnf'),
      [
        ...['[ca]', 'default_ca=root', '[root]', 'database=index.txt', 'crlnumber=number'],
        ...['default_md=sha256', 'crl_extensions=ext', '[ext]', 'authorityKeyIdentifier=keyid', ''],
      ].join('\n'),
    );
    const keys = ['-cert', 'root.pem', '-keyfile', 'root.key'];
    root.openssl('ca', '-config', 'crl.cnf', '-gencrl', ...keys, '-crldays', '90', '-out', 'root.crl');
    const crl = root.openssl('crl', '-in', 'root.crl');
    expect((await upload(crl)).current).toMatchObject({ number: wanted.number, entries: 1 });
    expect((await upload(crl)).current.number).toBe(wanted.number);
  });

  it('is refused where its number does not rise, where it lists less, or is not the root’s', async () => {
    const second = await issuingCa();
    await revoke(second.authorityId);
    const { request: wanted } = await request(describeRootCrl, which());
    expect(wanted.entries.map(({ authorityId }) => authorityId)).toContain(second.authorityId);
    const listed = wanted.entries.map(({ serialNumber }) => ({ serialNumber, revokedAt: now() }));
    const refused = async (crl: Promise<string>, code: string, message: RegExp) =>
      expect(upload(await crl)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await refused(signed({ number: wanted.number - 1 }), 'crl-number', /is not above/);
    const without = listed.filter(({ serialNumber }) => serialNumber !== second.certificate.serialNumber);
    await refused(signed({ entries: without }), 'crl-lists-less', new RegExp(second.authorityId));
    const only = listed.filter(({ serialNumber }) => serialNumber === second.certificate.serialNumber);
    await refused(signed({ entries: only }), 'crl-lists-less', /is revoked and not listed|was listed/);
    await refused(signed({ thisUpdate: now() - 10 * DAY, nextUpdate: now() - DAY }), 'bad-crl', /nextUpdate/);
    await refused(signed({ thisUpdate: now() + DAY }), 'bad-crl', /thisUpdate.*in the future/);
    await refused(signed({ baseNumber: 1 }), 'bad-crl', /complete CRL/);
    await refused(Promise.resolve('AAAA'), 'bad-crl', /malformed|CRL/);
    await using other = await openOwnRoot('Offline Root');
    const issuer = parseCertificatePem(other.certificate);
    await refused(signed({ issuer }, other.privateKey), 'bad-crl', /authorityKeyIdentifier/);
    expect((await upload(await signed())).current.entries).toBe(2);
  });

  it('is of two uploads at once taken from one', async () => {
    ahead += 60_000;
    const [one, other] = [
      await signed({ nextUpdate: now() + 30 * DAY }),
      await signed({ nextUpdate: now() + 31 * DAY }),
    ];
    const done = await Promise.allSettled([upload(one), upload(other)]);
    expect(done.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(done.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'crl-number' },
    });
  });

  it('of a root that Signet keeps is its own affair', async () => {
    const input = { account: 'signet', authorityId: 'root' };
    await expect(request(describeRootCrl, input)).rejects.toMatchObject({ code: 'bad-crl' });
    await expect(request(describeRootCrl, { account, authorityId: 'none' })).rejects.toMatchObject({
      code: 'unknown-authority',
    });
  });
});
