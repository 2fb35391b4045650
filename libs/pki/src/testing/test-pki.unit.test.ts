import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createTestPki } from './test-pki.ts';

const directory = mkdtempSync(join(tmpdir(), 'signet-test-pki-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, content: string): string => {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
};

const pki = createTestPki();
const verify = (purpose: string, leaf: string, ca: string) => {
  const chain = ['-CAfile', file('root.pem', pki.trustAnchors), '-untrusted', file('ca.pem', ca)];
  const args = ['verify', '-x509_strict', '-purpose', purpose, ...chain, file('leaf.pem', leaf)];
  return spawnSync('openssl', args, { encoding: 'utf8' });
};

describe('the PKI for tests', () => {
  it('is one that openssl, being strict, finds right', () => {
    const { factory, issuing, server } = pki;
    expect(verify('sslclient', pki.operational('acme', 'dev-1').cert, issuing.pem).stdout).toContain('OK');
    expect(verify('sslclient', pki.bootstrap('dev-1').cert, factory.pem).stdout).toContain('OK');
    expect(verify('sslserver', pki.serverIdentity().cert, server.pem).stdout).toContain('OK');
  });

  it('makes defects that openssl sees too', () => {
    const seen = (defect: Parameters<typeof pki.defective>[0]) =>
      verify('sslclient', pki.defective(defect, 'acme', 'dev-1').cert, pki.issuing.pem).stderr;
    expect(seen('expired')).toContain('certificate has expired');
    expect(seen('not-yet-valid')).toContain('certificate is not yet valid');
    expect(seen('forged')).toContain('certificate signature failure');
    expect(seen('wrong-extended-key-usage')).toContain('unsuitable certificate purpose');
    expect(seen('other-account')).toContain('unable to get local issuer certificate');
    expect(seen('self-signed')).toMatch(/self[- ]signed certificate/);
  });

  it('gives keys that openssl reads', () => {
    const { key } = pki.operational('acme', 'dev-1');
    const text = execFileSync('openssl', ['pkey', '-noout', '-text'], { input: key, encoding: 'utf8' });
    expect(text).toContain('prime256v1');
  });
});
