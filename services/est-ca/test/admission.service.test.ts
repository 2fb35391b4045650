import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueServerCertificate, type RefusalCode } from '@signet/contracts';
import { createCsr, EKU, encodePem, generateKeyPair, keySigner, parseCertificatePem } from '@signet/pki';
import {
  createTestPki,
  type LeafChanges,
  newTestKey,
  type TestAuthority,
  type TestIdentity,
} from '@signet/pki/testing';
import { openBackbone } from '@signet/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCollections } from '../src/collections.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { enrolledDevice, expectRefusal } from './support/scene.ts';

const DAY = 86_400_000;
const stranger = createTestPki();
const cacerts = { path: '/.well-known/est/cacerts' };
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
});
afterAll(() => est?.[Symbol.asyncDispose]());

const shown = ({ cert, privateKey }: TestIdentity) => ({ certificate: cert, privateKey });

describe('F53: mutual TLS', () => {
  it('fails for a client that does not know this server’s CA', async () => {
    const misled = { ...est, anchors: stranger.trustAnchors };
    await expect(call(misled, cacerts)).rejects.toThrow(/unable to (verify|get)|self-signed/);
  });

  it('refuses a client certificate of another PKI, whatever is asked for', async () => {
    const identity = shown(stranger.operational(ACCOUNT, 'dev-1'));
    const reply = await call(est, { ...cacerts, identity });
    expect([reply.status, reply.headers['content-type']]).toEqual([403, 'text/plain; charset=us-ascii']);
    await est.event(
      'ENROLLMENT_REFUSED',
      ({ data }) => data.code === 'unknown-issuer' && data.fingerprint !== undefined,
    );
  });
});

describe('F50: a client certificate that is missing, unreadable or wrong is refused, with its reason in an event', () => {
  const now = Date.now();
  const past = { notBefore: now - 20 * DAY, notAfter: now - DAY };
  const changes: Partial<Record<RefusalCode, LeafChanges>> = {
    expired: past,
    'not-yet-valid': { notBefore: now + DAY },
    'bad-signature': { forgedBy: newTestKey(), ...past },
    'wrong-key-usage': { keyUsage: ['digitalSignature', 'keyCertSign'] },
    'wrong-extended-key-usage': { extKeyUsage: [EKU.serverAuth] },
    'not-a-leaf': { ca: true },
    'malformed-certificate': { unknownCritical: '1.3.6.1.4.1.99999.1' },
    'bad-identity': { subject: { commonName: 'dev-1', organization: 'Not An Account' } },
  };

  it.each(Object.entries(changes))('%s', async (code, change) => {
    const signedBy = await issuingAuthority();
    const identity = stranger.operational(ACCOUNT, 'dev-1', { ...change, signedBy });
    const reply = await call(est, { ...cacerts, identity: shown(identity) });
    // by another clock it may be valid already
    expect(reply.status).toBe(code === 'not-yet-valid' ? 503 : 403);
    const { fingerprint } = identity.certificate;
    const event = await est.event('ENROLLMENT_REFUSED', ({ data }) => data.fingerprint === fingerprint);
    expect(event.data).toMatchObject({ code, listener: 'est', address: '127.0.0.1' });
  });

  it('a sound one that was never recorded renews nothing', async () => {
    const identity = stranger.operational(ACCOUNT, 'dev-unrecorded', { signedBy: await issuingAuthority() });
    const csr = {
      subjectDer: identity.certificate.subjectDer,
      privateKey: generateKeyPair('P-256').privateKey,
    };
    const path = '/.well-known/est/simplereenroll';
    const reply = await call(est, enrolment(csr, { path, identity: shown(identity) }));
    const text = /not on the record of issued certificates/;
    await expectRefusal(est, reply, {
      status: 403,
      code: 'unknown-device',
      text,
      deviceId: 'dev-unrecorded',
    });
  });

  it('a server’s certificate of our own PKI: wrong purpose', async () => {
    const { key, cert } = await serverIdentity();
    const reply = await call(est, { ...cacerts, identity: { certificate: cert, privateKey: key } });
    expect(reply.status).toBe(403);
    await est.event('ENROLLMENT_REFUSED', ({ data }) => data.code === 'wrong-purpose');
  });

  /** Our own issuing CA, in the hands of someone who signs whatever he likes. */
  async function issuingAuthority(): Promise<TestAuthority> {
    const keys = join(est.fixture.dataDir, 'est-ca', 'keys');
    const [key, passphrase] = await Promise.all(
      ['issuing.key.pem', 'passphrase'].map((name) => readFile(join(keys, name), 'utf8')),
    );
    const privateKey = createPrivateKey({ key: key ?? '', passphrase: passphrase?.trim() ?? '' });
    const pem =
      est.fixture.deps.admission.trust.authorities().find(({ kind }) => kind === 'issuing')?.certificate ??
      '';
    const certificate = parseCertificatePem(pem);
    return { ...stranger.issuing, certificate, privateKey, pem, signer: keySigner(privateKey) };
  }

  async function serverIdentity() {
    const { privateKey } = generateKeyPair('P-256');
    const csr = encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName: 'x' }, privateKey }));
    const issued = await est.fixture.deps.bus.request(issueServerCertificate, {
      service: 'x',
      csr,
      names: ['localhost'],
    });
    return { key: privateKey, cert: issued.certificate };
  }
});

describe('a certificate on the deny list', () => {
  it('is refused, and so is every certificate of a denied device', async () => {
    const device = await enrolledDevice(est, 'dev-denied');
    await est.fixture.deny({ kind: 'device', account: ACCOUNT, deviceId: 'dev-denied' });
    await expect
      .poll(async () => (await call(est, { ...cacerts, identity: device.operational })).status, {
        timeout: 15_000,
      })
      .toBe(403);
    await est.event(
      'ENROLLMENT_REFUSED',
      ({ data }) => data.code === 'denied' && data.deviceId === 'dev-denied',
    );
  });
});

describe('F7: two replicas', () => {
  it('accept each other’s certificates, knowing the CA alone', async () => {
    await using other = await est.startReplica();
    const device = await enrolledDevice(est, 'dev-replicas');
    const { privateKey } = generateKeyPair('P-256');
    const csr = { subjectDer: device.issued.subjectDer, privateKey };
    const path = '/.well-known/est/simplereenroll';
    const reply = await call(est, enrolment(csr, { path, identity: device.operational }), other.estPort);
    expect(issuedIn(reply).subjectDer).toEqual(device.issued.subjectDer);
  });

  it('give one certificate for one grant to 50 requests at once with one key', async () => {
    await using other = await est.startReplica();
    const device = await est.bootstrapDevice('dev-50-same');
    const basic = ['dev-50-same', await est.grantFor(device)] as const;
    const { privateKey } = generateKeyPair('P-256');
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        call(est, enrolment({ privateKey }, { basic }), i % 2 === 0 ? other.estPort : est.service.estPort),
      ),
    );
    expect(new Set(replies.map((reply) => issuedIn(reply).fingerprint)).size).toBe(1);
    const issued = est.events.filter(
      ({ type, subject }) => type === 'CERT_ISSUED' && subject === 'dev-50-same',
    );
    expect(issued).toHaveLength(1);
  });

  it('give one certificate for one grant to 50 requests at once with 50 keys, and refuse 49', async () => {
    await using other = await est.startReplica();
    const device = await est.bootstrapDevice('dev-50');
    const basic = ['dev-50', await est.grantFor(device)] as const;
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        call(
          est,
          enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic }),
          i % 2 === 0 ? other.estPort : est.service.estPort,
        ),
      ),
    );
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(
      replies.filter(({ status, body }) => status === 403 && body.includes('already used')),
    ).toHaveLength(49);
    expect(
      est.events.filter(({ type, subject }) => type === 'CERT_ISSUED' && subject === 'dev-50'),
    ).toHaveLength(1);
  });
});

describe('with the store gone', () => {
  it('nothing is signed: 503 with Retry-After, counted as unavailable; the grant is not used up', async () => {
    await using cut = await openEstFixture();
    const device = await cut.bootstrapDevice('dev-cut');
    const grant = await cut.grantFor(device);
    await cut.fixture.backbone[Symbol.asyncDispose]();
    const { privateKey } = generateKeyPair('P-256');
    const reply = await call(cut, enrolment({ privateKey }, { basic: ['dev-cut', grant] }));
    expect([reply.status, reply.body]).toEqual([503, 'service: not able to issue now; try again later\n']);
    expect(reply.headers['retry-after']).toBe('5');
    expect(await cut.fixture.exposition()).toMatch(
      /signet_est_enrollments_total\{[^}]*outcome="unavailable"/,
    );
    await using reopened = await openBackbone({
      store: `sqlite:${join(cut.fixture.dataDir, 'signet.db')}`,
      bus: 'local',
      dataDir: cut.fixture.dataDir,
      name: 'reopened',
      log: cut.fixture.deps.log,
    });
    const { certificates } = await openCollections(reopened.store);
    expect(await certificates.count()).toBe(0);
  });
});
