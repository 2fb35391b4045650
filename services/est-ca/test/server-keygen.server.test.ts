import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProfile, type ProfileChanges, setDeviceProfile } from '@signet/contracts';
import { createCsr, decodeCertsOnly, generateKeyPair, parseCertificate } from '@signet/pki';
import { createLogger } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, type EstReply, enrolment } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { enrolledDevice, expectRefusal } from './support/scene.ts';

const openssl = requireServer('openssl');
const curl = requireServer('curl');
const ASYMMETRIC = '1.2.840.113549.1.9.16.2.54';
const SYMMETRIC = '1.2.840.113549.1.9.16.2.37';
const SMIME_CAPABILITIES = '1.2.840.113549.1.9.15';

let est: EstFixture;
let folder: string;
const logged: string[] = [];
beforeAll(async () => {
  const log = createLogger({
    service: 'est-ca',
    level: 'trace',
    destination: { write: (line) => void logged.push(line) },
  });
  est = await openEstFixture({ log });
  folder = await mkdtemp(join(tmpdir(), 'signet-keygen-'));
  const create = (name: string, settings: ProfileChanges) =>
    est.fixture.deps.bus.request(createProfile, { account: ACCOUNT, name, settings, by: 'ada' });
  await create('made', { serverKeygen: true, keyKinds: ['P-256'] });
  await create('made-rsa', { serverKeygen: true, keyKinds: ['RSA'] });
  await create('made-by-certificate', {
    serverKeygen: true,
    authentication: 'certificate',
    keyKinds: ['P-384'],
  });
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const path = (profile: string) => `/.well-known/est/${ACCOUNT}.${profile}/serverkeygen`;

async function granted(deviceId: string, profile: string) {
  const device = await est.bootstrapDevice(deviceId);
  const basic = [deviceId, await est.grantFor(device, { profile })] as const;
  return { device, basic, identity: { certificate: device.certificate, privateKey: device.keys.privateKey } };
}

/** The parts of a multipart answer, by the rules of RFC 2046. */
function partsOf({ headers, body }: Pick<EstReply, 'headers' | 'body'>) {
  const boundary = /^multipart\/mixed; boundary=([A-Za-z0-9-]+)$/.exec(String(headers['content-type']))?.[1];
  if (boundary === undefined) throw new Error(`not multipart: ${headers['content-type']}`);
  expect(body.endsWith(`--${boundary}--\r\n`)).toBe(true);
  return body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const [head = '', content = ''] = part.replace(/^\r\n/, '').split('\r\n\r\n');
      expect(head).toMatch(/^Content-Transfer-Encoding: base64$/m);
      return {
        type: /^Content-Type: (.*)$/m.exec(head)?.[1],
        der: new Uint8Array(Buffer.from(content, 'base64')),
      };
    });
}

function openedBy(parts: ReturnType<typeof partsOf>) {
  const [key, certificate] = parts;
  const [issued, ...more] = decodeCertsOnly(certificate?.der ?? new Uint8Array());
  expect(more).toEqual([]);
  return {
    key,
    certificate: parseCertificate(issued ?? new Uint8Array()),
    certificateType: certificate?.type,
  };
}

describe('a key that the server makes (RFC 7030 §4.4)', () => {
  it.each([
    ['made', 'ec'],
    ['made-rsa', 'rsa'],
  ])(
    'comes with its certificate, as multipart/mixed that nobody may store: profile "%s"',
    async (profile, type) => {
      const { basic } = await granted(`dev-${profile}`, profile);
      const reply = await call(
        est,
        enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic, path: path(profile) }),
      );
      expect([reply.status, reply.headers['cache-control']]).toEqual([200, 'no-store']);
      const { key, certificate, certificateType } = openedBy(partsOf(reply));
      expect([key?.type, certificateType]).toEqual([
        'application/pkcs8',
        'application/pkcs7-mime; smime-type=certs-only',
      ]);
      const privateKey = createPrivateKey({ key: Buffer.from(key?.der ?? []), format: 'der', type: 'pkcs8' });
      expect(privateKey.asymmetricKeyType).toBe(type);
      // RFC 5915 §3: the curve stands in the ECPrivateKey too, [0] after its private key
      if (type === 'ec') {
        const sec1 = privateKey.export({ type: 'sec1', format: 'der' });
        expect(Buffer.from(key?.der ?? []).subarray(-sec1.length)).toEqual(sec1);
      }
      expect(createPublicKey(privateKey).equals(certificate.publicKey)).toBe(true);
      expect(certificate.subject).toEqual({ commonName: `dev-${profile}`, organization: ACCOUNT });
    },
  );

  it("passes over the CSR's key and signature, be they weak, unknown or wrong", async () => {
    const { basic } = await granted('dev-any-key', 'made');
    const csr = createCsr({
      subject: { commonName: 'dev-any-key' },
      privateKey: generateKeyPair('P-384').privateKey,
    });
    csr[csr.length - 1] = (csr[csr.length - 1] ?? 0) ^ 1;
    const reply = await call(est, enrolment(csr, { basic, path: path('made') }));
    expect(openedBy(partsOf(reply)).certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe(
      'prime256v1',
    );
  });

  it('is made once for a grant: it is kept nowhere, so it cannot be given again', async () => {
    const { basic } = await granted('dev-once', 'made');
    const request = enrolment(
      { privateKey: generateKeyPair('P-256').privateKey },
      { basic, path: path('made') },
    );
    expect((await call(est, request)).status).toBe(200);
    await expectRefusal(est, await call(est, request), {
      status: 403,
      code: 'used-grant',
      text: /another key/,
    });
  });

  it('is neither stored nor logged', async () => {
    const { basic } = await granted('dev-secret-key', 'made');
    const reply = await call(
      est,
      enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic, path: path('made') }),
    );
    const der = Buffer.from(partsOf(reply)[0]?.der ?? []);
    const { d = '' } = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
    const secret = Buffer.from(d, 'base64url');
    expect(secret).toHaveLength(32);
    const forms = [
      secret,
      ...(['hex', 'base64', 'base64url'] as const).map((form) => Buffer.from(secret.toString(form))),
    ];
    const base64 = reply.body.replaceAll('\r\n', '');
    expect(base64.length).toBeGreaterThan(100);
    const files = await readdir(est.fixture.dataDir, { recursive: true, withFileTypes: true });
    const contents = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
    );
    expect(contents.length).toBeGreaterThan(0);
    for (const content of [...contents, Buffer.from(logged.join(''))])
      for (const form of forms) expect(content.includes(form)).toBe(false);
    expect(logged.length).toBeGreaterThan(0);
  });

  it.each(['/.well-known/est/serverkeygen', `/.well-known/est/${ACCOUNT}/serverkeygen`])(
    'is off unless the profile turns it on: %s',
    async (off) => {
      const reply = await call(
        est,
        enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { path: off }),
      );
      expect([reply.status, reply.body]).toEqual([501, 'serverkeygen: not implemented by this server\n']);
    },
  );

  it('needs what simpleenroll needs: 401 without credentials, 415 and 400 for what is no CSR', async () => {
    const csr = { privateKey: generateKeyPair('P-256').privateKey };
    expect((await call(est, enrolment(csr, { path: path('made') }))).status).toBe(401);
    const { basic } = await granted('dev-wrong-type', 'made');
    const typed = enrolment(csr, { basic, path: path('made'), headers: { 'Content-Type': 'text/plain' } });
    expect((await call(est, typed)).status).toBe(415);
    expect((await call(est, { ...enrolment(csr, { basic, path: path('made') }), body: 'AAAA' })).status).toBe(
      400,
    );
  });
});

describe('a key that the CSR asks to be encrypted (RFC 7030 §4.4.1)', () => {
  const { privateKey } = generateKeyPair('P-256');
  const bytes = (value: Uint8Array) => new Uint8Array([0x04, value.length, ...value]);
  const asking = (...attributes: { oid: string; value: Uint8Array }[]) =>
    createCsr({ privateKey, attributes });

  it.skipIf(openssl === '')(
    "goes to the key of the connection's certificate, and openssl opens it",
    async () => {
      const device = await enrolledDevice(est, 'dev-enveloped');
      const { deviceId } = device;
      await est.fixture.deps.bus.request(setDeviceProfile, {
        ...{ account: ACCOUNT, deviceId, profile: 'made-by-certificate', by: 'ada' },
      });
      const id = Buffer.from(device.issued.subjectKeyId ?? '', 'hex');
      const csr = asking({ oid: ASYMMETRIC, value: bytes(id) });
      const reply = await call(
        est,
        enrolment(csr, { identity: device.operational, path: path('made-by-certificate') }),
      );
      const { key, certificate } = openedBy(partsOf(reply));
      expect(key?.type).toBe('application/pkcs7-mime; smime-type=server-generated-key');
      await writeFile(join(folder, 'key.p7'), key?.der ?? '');
      await writeFile(join(folder, 'device.pem'), device.issued.pem());
      await writeFile(
        join(folder, 'device.key'),
        device.operational.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      );
      const args = [
        'cms',
        '-decrypt',
        '-inform',
        'DER',
        '-in',
        'key.p7',
        '-recip',
        'device.pem',
        '-inkey',
        'device.key',
      ];
      const opened = await run(openssl, [...args, '-binary', '-out', 'signed.der'], { cwd: folder });
      expect(opened).toMatchObject({ code: 0 });
      const signed = await readFile(join(folder, 'signed.der'));
      const header = Buffer.from('30800609 2a864886f70d010702a080'.replaceAll(' ', ''), 'hex');
      await writeFile(join(folder, 'signed.p7'), Buffer.concat([header, signed, Buffer.alloc(4)]));
      const authorities = est.fixture.deps.admission.trust
        .authorities()
        .map((authority) => authority.certificate);
      await writeFile(join(folder, 'cas.pem'), authorities.join(''));
      const verify = [
        'cms',
        '-verify',
        '-inform',
        'DER',
        '-in',
        'signed.p7',
        '-CAfile',
        'cas.pem',
        '-purpose',
        'sslserver',
      ];
      const verified = await run(openssl, [...verify, '-binary', '-out', 'package.der'], { cwd: folder });
      expect(verified).toMatchObject({ code: 0 });
      const keyPackage = await readFile(join(folder, 'package.der'));
      const inner = keyPackage.subarray(keyPackage[1] === 0x81 ? 3 : 2);
      const made = createPrivateKey({ key: inner, format: 'der', type: 'pkcs8' });
      expect(createPublicKey(made).equals(certificate.publicKey)).toBe(true);
      expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
    },
  );

  it.each<[string, Parameters<typeof asking>, boolean, RegExp]>([
    [
      'names a symmetric key',
      [{ oid: SYMMETRIC, value: bytes(Buffer.from('0102', 'hex')) }],
      true,
      /DecryptKeyIdentifier: this server shares no symmetric key/,
    ],
    [
      "names another key than the connection's",
      [{ oid: ASYMMETRIC, value: bytes(Buffer.alloc(20)) }],
      true,
      /AsymmetricDecryptKeyIdentifier: is not the key identifier/,
    ],
    [
      'names a key without showing a certificate',
      [{ oid: ASYMMETRIC, value: bytes(Buffer.alloc(20)) }],
      false,
      /AsymmetricDecryptKeyIdentifier/,
    ],
    [
      'names a key by what is no OCTET STRING',
      [{ oid: ASYMMETRIC, value: new Uint8Array([0x30, 0]) }],
      true,
      /AsymmetricDecryptKeyIdentifier: tag/,
    ],
  ])('is refused, never given in the clear, where the CSR %s', async (what, attributes, shown, text) => {
    const { basic, identity } = await granted(`dev-${what.length}`, 'made');
    const reply = await call(
      est,
      enrolment(asking(...attributes), { basic, path: path('made'), ...(shown ? { identity } : {}) }),
    );
    await expectRefusal(est, reply, { status: 400, code: 'malformed-request', text });
    expect(
      est.events.some(({ type, subject }) => type === 'CERT_ISSUED' && subject === `dev-${what.length}`),
    ).toBe(false);
  });

  it('is refused where the client takes none of our ciphers', async () => {
    const { basic, identity, device } = await granted('dev-des', 'made');
    const { certificate } = identity;
    const id = parseCertificate(
      new Uint8Array(Buffer.from(certificate.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')),
    );
    const tripleDes = new Uint8Array([0x30, 12, 0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7]);
    const csr = asking(
      { oid: ASYMMETRIC, value: bytes(Buffer.from(id.subjectKeyId ?? '', 'hex')) },
      { oid: SMIME_CAPABILITIES, value: tripleDes },
    );
    const reply = await call(est, enrolment(csr, { basic, identity, path: path('made') }));
    await expectRefusal(est, reply, { status: 400, code: 'malformed-request', text: /SMIMECapabilities/ });
    expect(device.deviceId).toBe('dev-des');
  });
});

describe.skipIf(curl === '' || openssl === '')('curl and openssl', () => {
  it('get a key and a certificate that fit each other', async () => {
    const { basic } = await granted('dev-curl-key', 'made');
    await writeFile(join(folder, 'root.pem'), est.anchors);
    const csr = createCsr({ privateKey: generateKeyPair('P-256').privateKey });
    await writeFile(join(folder, 'csr.b64'), Buffer.from(csr).toString('base64'));
    const reply = await run(
      curl,
      ['-sS', '--fail-with-body', '--cacert', 'root.pem', '-u', basic.join(':'), '-D', 'head.txt']
        .concat(['-H', 'Content-Type: application/pkcs10', '--data-binary', '@csr.b64'])
        .concat([`https://localhost:${est.service.estPort}${path('made')}`]),
      { cwd: folder },
    );
    expect(reply).toMatchObject({ code: 0 });
    const head = await readFile(join(folder, 'head.txt'), 'latin1');
    const type = /^Content-Type: (.*)\r$/m.exec(head)?.[1];
    const parts = partsOf({ headers: { 'content-type': type }, body: reply.stdout.toString('latin1') });
    const { key, certificate } = openedBy(parts);
    await writeFile(join(folder, 'made.der'), key?.der ?? '');
    const derived = await run(
      openssl,
      ['pkey', '-inform', 'DER', '-in', 'made.der', '-pubout', '-outform', 'DER'],
      { cwd: folder },
    );
    expect(new Uint8Array(derived.stdout)).toEqual(certificate.spkiDer);
  });
});
