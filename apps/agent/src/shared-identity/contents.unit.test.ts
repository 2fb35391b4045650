import { createPublicKey } from 'node:crypto';
import { createTestPki } from '@signet/pki/testing';
import { describe, expect, it } from 'vitest';
import type { KeyHolder } from '../keys/key-holder.ts';
import { digestsOf, sharedContents } from './contents.ts';
import { certificatesIn, issuersOf } from './issuers.ts';

const pki = createTestPki();
const { cert, key } = pki.operational('acme', 'dev-1');
const bundle = { account: 'acme', deviceId: 'dev-1', trustAnchors: [pki.trustAnchors] };
const [leaf] = certificatesIn(cert);
if (leaf === undefined) throw new Error('no certificate');
const issuers = issuersOf(leaf, [pki.root.certificate, pki.server.certificate, pki.issuing.certificate]);

const held = (kind: KeyHolder['kind'], text: string) => {
  const holder = { kind, owns: () => true, publicKey: () => createPublicKey(text) } as unknown as KeyHolder;
  const identity = { key: text, certificate: cert, holder };
  return sharedContents({ bundle, identity, issuers, crl: undefined });
};

describe('what workloads get of an identity', () => {
  it('the key, where the device has it, and the chain up to the root without it', () => {
    const contents = sharedContents({
      bundle,
      identity: { key, certificate: cert },
      issuers,
      crl: undefined,
    });
    expect(Object.keys(contents)).toEqual(['certificate.pem', 'key.pem', 'trust.pem', 'identity.json']);
    expect(
      certificatesIn(contents['certificate.pem'] ?? '').map(({ subject }) => subject.commonName),
    ).toEqual(['dev-1', pki.issuing.certificate.subject.commonName]);
    expect(JSON.parse(contents['identity.json'] ?? '')).toMatchObject({
      deviceId: 'dev-1',
      chainComplete: true,
    });
  });

  it('of a key in a token its URI alone: neither PIN nor library, and no file that looks like a key', () => {
    const contents = held('pkcs11', 'pkcs11:token=t;object=device-1\n-----BEGIN PUBLIC KEY-----\n…');
    expect(contents['key.uri']).toBe('pkcs11:token=t;object=device-1;type=private\n');
    expect(contents['key.pem']).toBeUndefined();
    expect(JSON.parse(contents['identity.json'] ?? '').key).toEqual({ kind: 'pkcs11', file: 'key.uri' });
  });

  it('of a key in a TPM what the TPM wrapped', () => {
    const text = '-----BEGIN TSS2 PRIVATE KEY-----\nAA==\n-----END TSS2 PRIVATE KEY-----';
    const contents = held('tpm', text);
    expect(contents['key.tss2']).toBe(`${text}\n`);
    expect(contents['key.pem']).toBeUndefined();
  });

  it('another key under the same certificate is another identity', () => {
    const [one, other] = [held('pkcs11', 'pkcs11:object=a\n'), held('pkcs11', 'pkcs11:object=b\n')];
    expect(digestsOf(one).certificate).not.toBe(digestsOf(other).certificate);
    expect(digestsOf(one).trust).toBe(digestsOf(other).trust);
  });

  it('an issuer that is not known is missing, and said to be', () => {
    expect(issuersOf(leaf, [pki.root.certificate])).toEqual({
      direct: undefined,
      chain: [],
      isComplete: false,
    });
    expect(issuersOf(leaf, [pki.issuing.certificate])).toMatchObject({
      chain: [pki.issuing.certificate],
      isComplete: false,
    });
  });
});
