import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createAuthorities,
  describeAuthorities,
  registerRoot,
  replaceRoot,
  requestAuthority,
  signBootstrap,
  uploadAuthority,
} from '@signet/contracts';
import {
  createCsr,
  encodePem,
  generateKeyPair,
  parseCertificatePem,
  parseCrl,
  verifyCrlSignature,
} from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { openSoftHsm, type SoftHsm } from '@signet/tests/servers/softhsm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { call, enrolment } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { openOwnRoot } from './support/own-root.ts';
import { run } from './support/run.ts';
import { enrolledDevice } from './support/scene.ts';

const util = requireServer('softhsm');

describe.skipIf(util === '')('CA keys in an HSM', () => {
  let hsm: SoftHsm;
  let est: EstFixture;
  let folder: string;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    hsm = stack.use(await openSoftHsm(util));
    folder = await mkdtemp(join(tmpdir(), 'signet-hsm-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    est = stack.use(
      await openEstFixture({ env: { SIGNET_EST_PKCS11: hsm.uri, SIGNET_EST_PKCS11_PIN: hsm.pin } }),
    );
  });
  afterAll(() => stack.disposeAsync());

  const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
    est.fixture.deps.bus.request(...args);
  const verify = async (leaf: string, between: string, root: string) => {
    await writeFile(join(folder, 'leaf.pem'), leaf);
    await writeFile(join(folder, 'between.pem'), between);
    await writeFile(join(folder, 'root.pem'), root);
    const args = ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'between.pem', 'leaf.pem'];
    return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  };

  it('F45: root and issuing CA sign in the token, no key of theirs lies in a file, and openssl verifies', async () => {
    const account = 'vault';
    const input = { account, custody: 'pkcs11', by: 'ada' } as const;
    const { authorities } = await request(createAuthorities, input);
    expect(authorities.map(({ custody }) => custody)).toEqual(['pkcs11', 'pkcs11', 'pkcs11', 'pkcs11']);
    const [root, , issuing] = authorities;
    const { issued } = await enrolledDevice(est, 'dev-hsm', account);
    expect(issued.authorityKeyId).toBe(issuing?.subjectKeyId);
    expect(await verify(issued.pem(), issuing?.certificate ?? '', root?.certificate ?? '')).toContain('OK');
    const keys = await readdir(join(est.fixture.dataDir, 'est-ca', 'keys'));
    for (const { authorityId } of authorities) expect(keys.join()).not.toContain(authorityId);
    const shown = JSON.stringify(await request(describeAuthorities, { account }));
    expect(shown).not.toContain(hsm.pin);
  });

  it.each([
    ['P-384', 'ecdsa-with-SHA384'],
    ['RSA-3072', 'sha256WithRSAEncryption'],
  ] as const)(
    'F45: %s keys of root and issuing CA sign in the token too: certificates, CRLs and OCSP that openssl verifies',
    async (keyType, algorithm) => {
      const account = `vault-${keyType.toLowerCase()}`;
      const input = { account, custody: 'pkcs11', keyType, by: 'ada' } as const;
      const { authorities } = await request(createAuthorities, input, { deadlineMs: 60_000 });
      const [root, , issuing] = authorities;
      for (const { certificate } of authorities)
        expect(parseCertificatePem(certificate).signatureAlgorithm.name).toBe(algorithm);
      const { issued } = await enrolledDevice(est, `dev-${keyType.toLowerCase()}`, account);
      expect(issued.signatureAlgorithm.name).toBe(algorithm);
      expect(await verify(issued.pem(), issuing?.certificate ?? '', root?.certificate ?? '')).toContain('OK');
      for (const authority of [root, issuing]) {
        const url = `http://127.0.0.1:${est.service.httpPort}/crl/${authority?.authorityId}.crl`;
        const crl = parseCrl(new Uint8Array(await (await fetch(url)).arrayBuffer()));
        expect(verifyCrlSignature(crl, parseCertificatePem(authority?.certificate ?? ''))).toBe(true);
      }
      const ocsp = ['ocsp', '-issuer', 'between.pem', '-cert', 'leaf.pem', '-CAfile', 'root.pem'];
      const url = `http://127.0.0.1:${est.service.httpPort}/ocsp`;
      // a new CA is answered for within five seconds
      await vi.waitFor(
        async () => {
          const { stdout } = await run('openssl', [...ocsp, '-url', url], { cwd: folder });
          expect(stdout.toString()).toMatch(/leaf\.pem: good/);
        },
        { timeout: 15_000, interval: 200 },
      );

      const replaced = await request(replaceRoot, { account, by: 'ada' }, { deadlineMs: 60_000 });
      const next = parseCertificatePem(replaced.authority.certificate);
      expect([replaced.authority.custody, next.signatureAlgorithm.name]).toEqual(['pkcs11', algorithm]);
    },
  );

  it('F45 F46: the key of a request is made in the token, and its CSR goes to a root that is elsewhere', async () => {
    const account = 'vault-csr';
    await using root = await openOwnRoot('Offline');
    const facts = { action: 'register-root', account, subject: root.fingerprint } as const;
    const statement = await root.state(facts);
    await request(registerRoot, { account, certificate: root.certificate, statement, by: 'ada' });
    const asked = await request(requestAuthority, { account, kind: 'issuing', custody: 'pkcs11', by: 'ada' });
    const certificate = await root.sign(asked.csr);
    const subject = parseCertificatePem(certificate).fingerprint;
    const proof = await root.state({ action: 'upload', account, subject });
    await request(uploadAuthority, { account, certificate, statement: proof, by: 'ada' });
    const { issued } = await enrolledDevice(est, 'dev-hsm-2', account);
    expect(await verify(issued.pem(), certificate, root.certificate)).toContain('OK');
  });

  it('F45: with the token pulled out it answers 503 with Retry-After and is not ready, and recovers by itself', async () => {
    const account = 'vault';
    const device = await est.bootstrapDevice('dev-unplugged');
    const grant = await est.grantFor(device, { account });
    const { privateKey } = generateKeyPair('P-256');
    const enrol = () => call(est, enrolment({ privateKey }, { basic: ['dev-unplugged', grant] }));
    await hsm.unplug();
    const refused = await enrol();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
    const check = async () => (await est.fixture.deps.health.report()).checks['est-ca.key-store'];
    expect(await check()).toMatchObject({ ok: false, reason: expect.stringContaining('signet test') });
    const others = await enrolledDevice(est, 'dev-file', 'files');
    expect(others.issued.subject.commonName).toBe('dev-file');
    await expect(
      request(createAuthorities, { account, kinds: ['issuing'], custody: 'pkcs11', by: 'ada' }),
    ).rejects.toMatchObject({ code: 'unavailable' });

    const csr = createCsr({ subject: { commonName: 'x' }, privateKey });
    const items = [{ csr: encodePem('CERTIFICATE REQUEST', csr) }];
    await expect(request(signBootstrap, { account, items })).rejects.toMatchObject({ code: 'unavailable' });

    await hsm.plugIn();
    await vi.waitFor(async () => expect(await check()).toMatchObject({ ok: true }), { timeout: 45_000 });
    expect((await enrol()).status).toBe(200);
  });

  it('F45: a token that is pulled out while nobody signs is noticed too', async () => {
    await hsm.unplug();
    const check = async () => (await est.fixture.deps.health.report()).checks['est-ca.key-store'];
    await vi.waitFor(async () => expect(await check()).toMatchObject({ ok: false }), { timeout: 45_000 });
    await hsm.plugIn();
    await vi.waitFor(async () => expect(await check()).toMatchObject({ ok: true }), { timeout: 45_000 });
  }, 100_000);
});

describe.skipIf(util === '')('a token that est-ca cannot use at its start', () => {
  const stack = new AsyncDisposableStack();
  let hsm: SoftHsm;
  beforeAll(async () => {
    hsm = stack.use(await openSoftHsm(util));
  });
  afterAll(() => stack.disposeAsync());
  const checkOf = async (est: EstFixture) =>
    (await est.fixture.deps.health.report()).checks['est-ca.key-store'];

  it('is not ready before its token was opened once, and says so', async () => {
    await hsm.unplug();
    const env = { SIGNET_EST_PKCS11: hsm.uri, SIGNET_EST_PKCS11_PIN: hsm.pin };
    await using est = await openEstFixture({ env });
    expect(await checkOf(est)).toMatchObject({ ok: false, reason: expect.stringContaining('signet test') });
    await hsm.plugIn();
    await vi.waitFor(async () => expect(await checkOf(est)).toEqual({ ok: true }), { timeout: 45_000 });
  });

  it('is not ready without the PIN of its token, though the token answers', async () => {
    await using est = await openEstFixture({ env: { SIGNET_EST_PKCS11: hsm.uri } });
    await vi.waitFor(async () =>
      expect(await checkOf(est)).toMatchObject({
        ok: false,
        reason: expect.stringContaining('asks for a PIN'),
      }),
    );
  });

  it('takes the PIN from the file that SIGNET_EST_PKCS11_PIN_FILE names, as the guide says', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'signet-pin-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'pin'), `${hsm.pin}\n`);
    const env = { SIGNET_EST_PKCS11: hsm.uri, SIGNET_EST_PKCS11_PIN_FILE: join(folder, 'pin') };
    await using est = await openEstFixture({ env });
    await vi.waitFor(async () => expect(await checkOf(est)).toEqual({ ok: true }));
  });
});

describe('without a token', () => {
  it('a key in one is refused, by name of what is missing', async () => {
    await using est = await openEstFixture();
    const input = { account: 'acme', custody: 'pkcs11', by: 'ada' } as const;
    await expect(est.fixture.deps.bus.request(createAuthorities, input)).rejects.toMatchObject({
      code: 'no-key-store',
      message: expect.stringContaining('SIGNET_EST_PKCS11'),
    });
  });
});
