import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { registerRoot, requestAuthority, uploadAuthority } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { intermediate, type OwnRoot, openOwnRoot } from './support/own-root.ts';
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
  it('F46: is refused where openssl would refuse what it signs, and what is issued below one that is taken passes -x509_strict', async () => {
    const account = 'strict';
    await using root = await openOwnRoot('Owner root', { extensions: [constraints] });
    await register(account, root);
    const asked = await request(requestAuthority, { account, kind: 'issuing', by });
    const upload = async (certificate: string) => {
      const { fingerprint: subject } = parseCertificatePem(certificate);
      const statement = await root.state({ action: 'upload', account, subject });
      return request(uploadAuthority, { account, certificate, statement, by });
    };
    const [basic = '', usage = '', skid = '', akid = ''] = intermediate;
    for (const [extensions, message] of [
      [[basic.replace('critical,', ''), usage, skid, akid], /basicConstraints: must be critical/],
      [[basic, usage, skid, 'authorityKeyIdentifier=none'], /authorityKeyIdentifier: lacks/],
    ] as const) {
      const certificate = await root.sign(asked.csr, { extensions });
      await expect(upload(certificate)).rejects.toMatchObject({ message: expect.stringMatching(message) });
    }
    const good = await root.sign(asked.csr, {
      extensions: [...intermediate, 'nameConstraints=critical,permitted;URI:signet.local'],
    });
    const { authority } = await upload(good);
    expect(authority.state).toBe('active');
    const device = await enrolledDevice(est, 'dev-strict', account);
    await writeFile(join(root.folder, 'leaf.pem'), device.issued.pem());
    await writeFile(join(root.folder, 'between.pem'), good);
    const args = ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'between.pem', 'leaf.pem'];
    expect(execFileSync('openssl', args, { cwd: root.folder, encoding: 'utf8' })).toContain('OK');
  });
});
