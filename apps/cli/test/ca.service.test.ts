import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
  await writeFile(join(terminal.folder, 'passphrase'), 'a passphrase of some length\n');
});
afterAll(() => stack.disposeAsync());

type Made = { authorityId: string; kind: string; certificate: string; custody: string };

async function ca(account: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await terminal.signet('--account', account, 'ca', ...args);
  expect(err).toBe('');
  expect(code).toBe(0);
  return out;
}
/** The values of a list, a line each. */
const jsonLines = async <T>(account: string, ...args: string[]) =>
  (await ca(account, ...args, '--json'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

describe('signet ca', () => {
  it('F43: create builds root, factory, issuing and server CA in one command, and show tells of them', async () => {
    const made = await jsonLines<Made>('hosted', 'create');
    expect(made.map(({ kind }) => kind)).toEqual(['root', 'factory', 'issuing', 'server']);
    const pretty = await ca('hosted', 'show', '--pretty');
    for (const { authorityId } of made) expect(pretty).toContain(authorityId);
    expect(pretty).toMatch(/subject +O=hosted, CN=hosted issuing CA/);
    expect(pretty).toMatch(/CAs below +0/);
    expect(await ca('nobody', 'show', 'issuing', '--pretty')).toMatch(/of the platform\n\nca +issuing\n/);
    expect((await terminal.signet('ca', 'show', 'none')).err).toBe('signet: the account has no CA "none"\n');
    const [, , issuing] = made;
    expect(await ca('hosted', 'disable', issuing?.authorityId ?? '', '--reason', 'audit')).toMatch(
      /state +disabled \(audit\)/,
    );
    expect(await ca('hosted', 'enable', issuing?.authorityId ?? '')).toMatch(/state +active/);
  });

  it('F43 F44 F54: create with a root key makes the root here, and sends the key nowhere', async () => {
    const rootKey = ['--root-key', 'root.key.pem', '--root-passphrase-file', 'passphrase'];
    const made = await jsonLines<Made>('own', 'create', ...rootKey);
    expect(made.map(({ kind, custody }) => [kind, custody])).toEqual([
      ['root', 'elsewhere'],
      ['factory', 'file'],
      ['issuing', 'file'],
      ['server', 'file'],
    ]);
    expect(await readFile(join(terminal.folder, 'root.key.pem'), 'utf8')).toContain('ENCRYPTED PRIVATE KEY');
    await writeFile(join(terminal.folder, 'ca.pem'), made[2]?.certificate ?? '');
    const verify = ['verify', '-x509_strict', '-CAfile', 'root.key.crt.pem', 'ca.pem'];
    expect(execFileSync('openssl', verify, { cwd: terminal.folder, encoding: 'utf8' })).toContain('OK');

    const id = made[2]?.authorityId ?? '';
    const unsigned = await terminal.signet('--account', 'own', 'ca', 'disable', id);
    expect([unsigned.code, unsigned.err]).toEqual([1, expect.stringContaining('statement-missing')]);
    expect(await ca('own', 'disable', id, ...rootKey)).toMatch(/state +disabled/);
  });

  it('F44 F85: a root that is kept here is replaced in three commands', async () => {
    const rootKey = ['--root-key', 'old.pem', '--root-passphrase-file', 'passphrase'];
    await ca('turning', 'create', ...rootKey);
    await ca('turning', 'replace-root', ...rootKey, '--new-root-key', 'new.pem');
    expect(await ca('turning', 'replacement')).toMatch(/new root +root-turning-2/);
    const unsigned = await terminal.signet('--account', 'turning', 'ca', 'finish-replacement');
    expect(unsigned.err).toContain('statement-missing');
    expect(await ca('turning', 'finish-replacement', ...rootKey)).toMatch(/root +root-turning-2/);
    const tree = await ca('turning', 'show', '--pretty');
    expect(tree).toMatch(/^root-turning-1 {2}root {2}disabled/m);
    expect(tree).toMatch(/^root-turning-2 {2}root {2}active.*\n {2}factory-turning-/m);
  });

  it('F44 F46: csr, a signature by openssl, upload with a statement that openssl signed', async () => {
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: terminal.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const fingerprint = (file: string) =>
      openssl('x509', '-in', file, '-noout', '-fingerprint', '-sha256')
        .toString()
        .replace(/.*=|[:\s]/g, '')
        .toLowerCase();
    const statement = async (action: string, file: string) => {
      await ca('offline', 'statement', '--action', action, '--subject', fingerprint(file), '--out', 's.json');
      openssl('dgst', '-sha256', '-sign', 'off.key', '-out', 's.sig', 's.json');
      return ['--statement', 's.json', '--signature', 's.sig'];
    };
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'off.key');
    openssl(
      ...['req', '-x509', '-new', '-key', 'off.key', '-subj', '/CN=Offline root', '-days', '3650'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-out', 'off.pem'],
    );
    await ca('offline', 'register-root', 'off.pem', ...(await statement('register-root', 'off.pem')));
    await ca('offline', 'csr', '--kind', 'issuing', '--out', 'issuing.csr');
    const lines = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'];
    await writeFile(
      join(terminal.folder, 'ca.ext'),
      [...lines, 'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'].join('\n'),
    );
    openssl(
      ...[
        'x509',
        '-req',
        '-in',
        'issuing.csr',
        '-CA',
        'off.pem',
        '-CAkey',
        'off.key',
        '-set_serial',
        '0x77aa',
      ],
      ...['-days', '900', '-sha256', '-extfile', 'ca.ext', '-out', 'issuing.pem'],
    );
    const done = await ca('offline', 'upload', 'issuing.pem', ...(await statement('upload', 'issuing.pem')));
    expect(done).toMatch(/issuer +CN=Offline root/);
    expect(await ca('offline', 'rotate-tls')).toContain('replaces its TLS certificate');
  });
});

describe('signet ca: the CRL of a root that is kept here', () => {
  const rootKey = ['--root-key', 'crl.pem', '--root-passphrase-file', 'passphrase'];

  it('F49: is signed and uploaded in one command, or carried to a machine without a network and back', async () => {
    const made = await jsonLines<Made>('arl', 'create', ...rootKey);
    const factory = made.find(({ kind }) => kind === 'factory');
    await writeFile(join(terminal.folder, 'factory.pem'), factory?.certificate ?? '');
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: terminal.folder, encoding: 'utf8' });
    expect(openssl('x509', '-in', 'factory.pem', '-noout', '-text')).toMatch(/\/crl\/root-arl-1\.crl/);
    expect(await ca('arl', 'sign-crl', ...rootKey, '--days', '90')).toMatch(/number +1/);

    await ca('arl', 'revoke', factory?.authorityId ?? '', '--crl-reason', 'cACompromise', ...rootKey);
    expect(await ca('arl', 'crl-request', '--out', 'request.json')).toContain(factory?.authorityId);
    const away = await terminal.signetWith(
      { SIGNET_URL: 'http://127.0.0.1:9', SIGNET_TOKEN: '' },
      ...['ca', 'sign-crl', ...rootKey, '--request', 'request.json', '--out', 'root.crl'],
    );
    expect([away.code, away.err]).toEqual([0, '']);
    const text = openssl('crl', '-in', 'root.crl', '-noout', '-text');
    expect(text).toMatch(/X509v3 CRL Number: \n +2[\s\S]*CA Compromise/);
    expect(await ca('arl', 'upload-crl', 'root.crl')).toMatch(/number +2/);
    const again = await terminal.signet('--account', 'hosted', 'ca', 'sign-crl', ...rootKey);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('Signet signs the CRLs')]);
  });
});
