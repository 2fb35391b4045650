import { beforeAll, describe, expect, it } from 'vitest';
import type { Certificate } from '../certificate.ts';
import { EKU } from '../extensions.ts';
import { issue } from '../issuance/issue.ts';
import { prepare } from '../issuance/prepare.ts';
import { issueRoot } from '../issuance/root.ts';
import { createTemplate } from '../issuance/template.ts';
import { exportSpki, generateKeyPair } from '../keys.ts';
import { keySigner } from '../signer/key-signer.ts';
import { signStatement } from './sign-statement.ts';
import { verifyStatement } from './verify-statement.ts';

type Kind = Parameters<typeof generateKeyPair>[0];

const now = Date.parse('2026-03-01T12:00:00Z');
const day = 86_400_000;
const uri = 'spiffe://signet.local/acme/commands';

function signerOf(kind: Kind = 'P-256') {
  return keySigner(generateKeyPair(kind).privateKey);
}

async function hierarchy() {
  const rootSigner = signerOf();
  const root = await issueRoot({
    signer: rootSigner,
    subject: { commonName: 'Root' },
    issuedAt: now,
    notAfter: now + 3000 * day,
  });
  const caSigner = signerOf();
  const template = createTemplate({ kind: 'authority', issuer: root, pathLen: 0 });
  const subject = { commonName: 'Issuing' };
  const request = {
    subject,
    spkiDer: exportSpki(caSigner.publicKey),
    issuedAt: now,
    notAfter: now + 2000 * day,
  };
  return { root, rootSigner, ca: await issue(prepare(template, request), rootSigner), caSigner };
}

let pki: Awaited<ReturnType<typeof hierarchy>>;
beforeAll(async () => {
  pki = await hierarchy();
});

async function commandSigner(kind: Kind = 'P-256') {
  const signer = signerOf(kind);
  const linted = prepare(createTemplate({ kind: 'statements', issuer: pki.ca }), {
    subject: { commonName: 'commands', organization: 'acme' },
    spkiDer: exportSpki(signer.publicKey),
    sans: { uris: [uri] },
    issuedAt: now,
    notAfter: now + 90 * day,
  });
  return { signer, certificate: await issue(linted, pki.caSigner) };
}

const payload = Buffer.from('{"do":"reboot"}');
const trust = (anchors: readonly Certificate[] = [pki.root]) => ({
  type: 'signet-command+jws',
  anchors,
  isSigner: (name: string) => name === uri,
  now: now + day,
});

async function signed(kind?: Kind) {
  const { signer, certificate } = await commandSigner(kind);
  return signStatement(signer, { type: 'signet-command+jws', payload, chain: [certificate, pki.ca] });
}

describe('a signed statement', () => {
  it.each(['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const)('is believed, signed with %s', async (kind) => {
    const jws = await signed(kind);
    expect(Buffer.from(verifyStatement(jws, trust()))).toEqual(payload);
  });

  it('is read by a device whose clock is at 1970, and by no other after its signer’s end', async () => {
    const jws = await signed();
    const at = (time: number | undefined) => () => verifyStatement(jws, { ...trust(), now: time });
    expect(at(undefined)).not.toThrow();
    expect(at(0)).toThrowError(expect.objectContaining({ code: 'not-in-time' }));
    expect(at(now + 91 * day)).toThrowError(expect.objectContaining({ code: 'not-in-time' }));
  });

  it('F20: is refused with any byte changed', async () => {
    const [head = '', body = '', tail = ''] = (await signed()).split('.');
    const other = Buffer.from('{"do":"format"}').toString('base64url');
    expect(() => verifyStatement(`${head}.${other}.${tail}`, trust())).toThrowError(
      expect.objectContaining({ code: 'bad-signature', message: 'signature: not over this statement' }),
    );
    const flipped = Buffer.from(tail, 'base64url');
    flipped[5] = (flipped[5] ?? 0) ^ 1;
    expect(() => verifyStatement(`${head}.${body}.${flipped.toString('base64url')}`, trust())).toThrowError(
      expect.objectContaining({ code: 'bad-signature' }),
    );
  });

  it('is refused as another type, below another root, and of another account', async () => {
    const jws = await signed();
    expect(() => verifyStatement(jws, { ...trust(), type: 'signet-redirect+jws' })).toThrowError(
      expect.objectContaining({ code: 'malformed', message: expect.stringContaining('typ:') }),
    );
    const { root } = await hierarchy();
    expect(() => verifyStatement(jws, trust([root]))).toThrowError(
      expect.objectContaining({ code: 'untrusted' }),
    );
    expect(() => verifyStatement(jws, { ...trust(), isSigner: () => false })).toThrowError(
      expect.objectContaining({ code: 'wrong-signer', message: `x5c: "${uri}" may not say this` }),
    );
  });

  it('a device cannot sign one with its operational certificate', async () => {
    const signer = signerOf();
    const linted = prepare(createTemplate({ kind: 'operational', issuer: pki.ca }), {
      subject: { commonName: 'pump-1', organization: 'acme' },
      spkiDer: exportSpki(signer.publicKey),
      sans: { uris: [uri] },
      issuedAt: now,
      notAfter: now + 90 * day,
    });
    const chain = [await issue(linted, pki.caSigner), pki.ca];
    const jws = await signStatement(signer, { type: 'signet-command+jws', payload, chain });
    expect(chain[0]?.extKeyUsage).toEqual([EKU.clientAuth]);
    expect(() => verifyStatement(jws, trust())).toThrowError(
      expect.objectContaining({ code: 'wrong-signer' }),
    );
  });

  it('a leaf is no CA: what it vouches for is not believed', async () => {
    const middle = await commandSigner();
    const { signer, certificate } = await commandSigner();
    const chain = [certificate, middle.certificate, pki.ca];
    const jws = await signStatement(signer, { type: 'signet-command+jws', payload, chain });
    expect(() => verifyStatement(jws, trust())).toThrowError(expect.objectContaining({ code: 'untrusted' }));
  });

  it.each([
    '',
    'a.b',
    'a.b.c.d',
    `${Buffer.from('{}').toString('base64url')}..`,
    `${Buffer.from('{"alg":"none","typ":"signet-command+jws","x5c":[]}').toString('base64url')}.e30.`,
    `${Buffer.from('{"alg":"ES256","typ":"signet-command+jws","x5c":["AAAA"]}').toString('base64url')}.e30.`,
  ])('what is none is said to be none: %s', (jws) => {
    expect(() => verifyStatement(jws, trust())).toThrowError(expect.objectContaining({ code: 'malformed' }));
  });
});
