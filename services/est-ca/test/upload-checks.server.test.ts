import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  commandCertificate,
  dryRunProfile,
  issueServerCertificate,
  registerRoot,
  requestAuthority,
  signBootstrap,
  signRegistration,
  uploadAuthority,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { intermediate, type OwnRoot, openOwnRoot } from './support/own-root.ts';
import { run } from './support/run.ts';
import { enrolledDevice } from './support/scene.ts';

const by = 'ada';
let est: EstFixture;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  est = stack.use(await openEstFixture());
});
afterAll(() => stack.disposeAsync());

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);

async function register(account: string, root: OwnRoot, certificate = root.certificate) {
  const { fingerprint: subject } = parseCertificatePem(certificate);
  const statement = await root.state({ action: 'register-root', account, subject });
  return request(registerRoot, { account, certificate, statement, by });
}

/** The owner of a root takes what it signed to est-ca. */
async function upload(ask: typeof request, root: OwnRoot, account: string, certificate: string) {
  const { fingerprint: subject } = parseCertificatePem(certificate);
  const statement = await root.state({ action: 'upload', account, subject });
  return ask(uploadAuthority, { account, certificate, statement, by });
}

/** The certificate of the OCSP responder, as it is in its answer about `device.pem` below `issuing.pem`. */
async function responderOf({ service }: EstFixture, { folder }: OwnRoot): Promise<string> {
  const url = `http://127.0.0.1:${service.httpPort}/ocsp`;
  const { stdout } = await run(
    'openssl',
    [...['ocsp', '-issuer', 'issuing.pem', '-cert', 'device.pem', '-noverify', '-resp_text', '-url', url]],
    { cwd: folder },
  );
  const found = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(stdout.toString());
  if (found === null) throw new Error(stdout.toString());
  return `${found[0]}\n`;
}

const constraints = 'basicConstraints=critical,CA:TRUE';

describe('a root that is registered', { timeout: 60_000 }, () => {
  it.each([
    [
      'may not sign CRLs',
      { extensions: [constraints, 'keyUsage=critical,keyCertSign'] },
      /cRLSign is missing/,
    ],
    [
      'has CA:true uncritical',
      { extensions: ['basicConstraints=CA:TRUE'] },
      /basicConstraints: must be critical/,
    ],
    ['ends before what profiles give', { extensions: [constraints], days: 30 }, /is sooner than the 90 days/],
  ] as const)('F54: is refused with its field where it %s', async (what, options, message) => {
    await using root = await openOwnRoot('Bad root', options);
    await expect(register(`root-${what.length}`, root)).rejects.toMatchObject({
      code: 'bad-certificate',
      message: expect.stringMatching(message),
    });
  });

  it('F54: is refused with a code of its own where another key signed it, or it is no root', async () => {
    await using root = await openOwnRoot('Owner root', { extensions: [constraints] });
    const der = Buffer.from(root.certificate.replace(/-----[^-]+-----/g, ''), 'base64');
    der.writeUInt8((der.at(-1) ?? 0) ^ 1, der.length - 1);
    const forged = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
    await expect(register('forged', root, forged)).rejects.toMatchObject({
      code: 'does-not-chain',
      message: expect.stringMatching(/signature: is not made with its own key/),
    });
    root.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'ca.key');
    root.openssl('req', '-new', '-key', 'ca.key', '-subj', '/CN=CA', '-config', 'root.cnf', '-out', 'ca.csr');
    const { readFile } = await import('node:fs/promises');
    const ca = await root.sign(await readFile(join(root.folder, 'ca.csr'), 'utf8'), {
      extensions: [constraints, ...intermediate.slice(1)],
    });
    await expect(register('no-root', root, ca)).rejects.toMatchObject({
      code: 'does-not-chain',
      message: expect.stringMatching(/issuer: is not the subject/),
    });
  });
});

describe('a CA that is uploaded', { timeout: 120_000 }, () => {
  it('F46: is refused where it bears the name of the root that signed it', async () => {
    const account = 'namesake';
    await using root = await openOwnRoot('Owner root', { extensions: [constraints] });
    await register(account, root);
    const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
    for (const subject of ['/O=acme/CN=Owner root', '/O=ACME/CN=owner  ROOT'])
      await expect(upload(request, root, account, await root.sign(csr, { subject }))).rejects.toMatchObject({
        code: 'does-not-chain',
        message: expect.stringMatching(/subject: is the name of "Owner root", which signed it/),
      });
  });

  it.each(['', 'critical,'])(
    'F46: issues no certificate that the name constraints of its root (%s) exclude',
    async (critical) => {
      const account = critical === '' ? 'bound' : 'bound-critical';
      await using root = await openOwnRoot('Bound root', {
        extensions: [constraints, `nameConstraints=${critical}excluded;DNS:forbidden.example`],
      });
      await register(account, root);
      const { csr } = await request(requestAuthority, { account, kind: 'issuing', by });
      await upload(request, root, account, await root.sign(csr));
      const { privateKey } = generateKeyPair('P-256');
      const tried = (name: string) => {
        const csr = createCsr({ privateKey, subject: { commonName: 'dev-1' }, sans: { dns: [name] } });
        return request(dryRunProfile, {
          ...{
            account,
            name: 'names',
            deviceId: 'dev-1',
            settings: { dnsNames: ['{device}.allowed.example', '{device}.forbidden.example'] },
          },
          csr: encodePem('CERTIFICATE REQUEST', csr),
        });
      };
      expect(await tried('dev-1.allowed.example')).toMatchObject({
        refusals: [],
        certificate: { subjectAltNames: expect.arrayContaining(['DNS:dev-1.allowed.example']) },
      });
      expect((await tried('dev-1.forbidden.example')).refusals).toEqual([
        { code: 'not-certifiable', message: expect.stringContaining('dev-1.forbidden.example') },
      ]);
    },
  );

  it('F46: every kind of certificate that is issued below one passes openssl verify -x509_strict', async () => {
    const account = 'strict-all';
    await using own = await openEstFixture({ env: { SIGNET_EST_SERVER_ACCOUNT: account } });
    const ask: typeof request = (...args) => own.fixture.deps.bus.request(...args);
    await using root = await openOwnRoot('Owner root', { extensions: [constraints] });
    const { fingerprint: subject } = parseCertificatePem(root.certificate);
    const statement = await root.state({ action: 'register-root', account, subject });
    await ask(registerRoot, { account, certificate: root.certificate, statement, by });
    for (const kind of ['factory', 'issuing', 'server'] as const) {
      const { csr } = await ask(requestAuthority, { account, kind, by });
      const certificate = await root.sign(csr);
      await upload(ask, root, account, certificate);
      await writeFile(join(root.folder, `${kind}.pem`), certificate);
    }
    const csrOf = (commonName: string) => {
      const { privateKey } = generateKeyPair('P-256');
      return encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName }, privateKey }));
    };
    const device = await enrolledDevice(own, 'dev-strict', account);
    await writeFile(join(root.folder, 'device.pem'), device.issued.pem());
    const signed = await ask(signBootstrap, { account, items: [{ csr: csrOf('dev-2'), deviceId: 'dev-2' }] });
    const [bootstrap] = signed.results;
    if (bootstrap === undefined || 'error' in bootstrap) throw new Error('no bootstrap certificate');
    const line = { account, name: 'line-1', csr: csrOf('line-1'), validityDays: 30 };
    const server = { service: 'est-ca', csr: csrOf('est-ca'), names: ['localhost', '192.0.2.1'] };
    const leaves = [
      ['issuing', 'operational', device.issued.pem()],
      ['factory', 'bootstrap', bootstrap.certificate],
      ['factory', 'registration', (await ask(signRegistration, line)).certificate],
      ['issuing', 'statements', (await ask(commandCertificate, { account })).certificate],
      ['server', 'server', (await ask(issueServerCertificate, server)).certificate],
      ['issuing', 'ocsp', await responderOf(own, root)],
    ] as const;
    for (const [issuer, kind, pem] of leaves) {
      await writeFile(join(root.folder, 'leaf.pem'), pem);
      const args = [
        'verify',
        '-x509_strict',
        '-CAfile',
        'root.pem',
        '-untrusted',
        `${issuer}.pem`,
        'leaf.pem',
      ];
      expect(root.openssl(...args), kind).toContain('OK');
    }
  });

  it('F46: is refused where openssl would refuse what it signs, and what is issued below one that is taken passes -x509_strict', async () => {
    const account = 'strict';
    await using root = await openOwnRoot('Owner root', { extensions: [constraints] });
    await register(account, root);
    const asked = await request(requestAuthority, { account, kind: 'issuing', by });
    const [basic = '', usage = '', skid = '', akid = ''] = intermediate;
    for (const [extensions, message] of [
      [[basic.replace('critical,', ''), usage, skid, akid], /basicConstraints: must be critical/],
      [[basic, usage, skid, 'authorityKeyIdentifier=none'], /authorityKeyIdentifier: lacks/],
    ] as const) {
      const certificate = await root.sign(asked.csr, { extensions });
      await expect(upload(request, root, account, certificate)).rejects.toMatchObject({
        message: expect.stringMatching(message),
      });
    }
    const good = await root.sign(asked.csr, {
      extensions: [...intermediate, 'nameConstraints=critical,permitted;URI:signet.local'],
    });
    const { authority } = await upload(request, root, account, good);
    expect(authority.state).toBe('active');
    const device = await enrolledDevice(est, 'dev-strict', account);
    await writeFile(join(root.folder, 'leaf.pem'), device.issued.pem());
    await writeFile(join(root.folder, 'between.pem'), good);
    const args = ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'between.pem', 'leaf.pem'];
    expect(execFileSync('openssl', args, { cwd: root.folder, encoding: 'utf8' })).toContain('OK');
  });
});
