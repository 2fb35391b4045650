import { hash } from 'node:crypto';
import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { Certificate, parseCertificate } from '../certificate.ts';
import { EKU } from '../extensions.ts';
import { PkiError } from '../pki-error.ts';
import type { Finding } from './finding.ts';
import { type Identity, readIdentity } from './identity.ts';
import { checkIssuer } from './issuer-checks.ts';
import type { PinnedIssuer } from './issuer-set.ts';
import { checkShape, checkValidity, type Purpose } from './leaf-checks.ts';
import type { PeerFacts, PeerRefusal, VerifiedPeer, VerifyPeerInput } from './peer.ts';
import { isSignedBy, MAX_SIGNATURES, Work } from './work.ts';

const purposeOf = {
  factory: 'bootstrap',
  issuing: 'operational',
  root: undefined,
  server: undefined,
} as const;

/** What the leaf is for: its issuer's kind says it, and of what a factory CA signs, its extended key usage. */
function purposeFor(leaf: Certificate, { kind }: PinnedIssuer): Purpose | undefined {
  if (leaf.extKeyUsage?.includes(EKU.registration) !== true) return purposeOf[kind];
  return kind === 'factory' ? 'registration' : undefined;
}

/**
 * Decides whether a peer is admitted, by its certificate, the pinned CAs and the deny list alone: no store, no bus,
 * no opinion of the TLS library. It is the only function that decides this. In order: certificate, pinned issuer,
 * signature, the issuer's kind, validity, the issuer's own status, shape, identity, deny list. Nothing that a
 * certificate says is believed before its signature is verified, so that a forged expired one is a forged one.
 */
export function verifyPeer(input: VerifyPeerInput): VerifiedPeer | PeerRefusal {
  if (input.leaf === undefined)
    return { ok: false, code: 'no-certificate', message: 'certificate: the peer showed none' };
  const leaf = input.leaf instanceof Certificate ? input.leaf : parse(input.leaf);
  if (!(leaf instanceof Certificate)) return { ok: false, ...leaf };
  const shown = { fingerprint: leaf.fingerprint, issuer: issuerText(leaf) };

  const candidates = input.issuers.candidates(leaf);
  if (candidates.length === 0)
    return {
      ok: false,
      code: 'unknown-issuer',
      message: `issuer: ${shown.issuer} is not a CA of ours`,
      ...shown,
    };
  const work = input.work ?? new Work();
  const issuers = candidates.filter((candidate) => isSignedBy(leaf, candidate.certificate, work));
  if (issuers.length === 0)
    return {
      ok: false,
      code: 'bad-signature',
      message: work.isExhausted
        ? `signature: none of the first ${MAX_SIGNATURES} CAs named ${shown.issuer} signed this; an authorityKeyIdentifier tells which it is`
        : `signature: ${shown.issuer} did not sign this`,
      ...shown,
    };

  // One key may have several certificates, in several accounts: the peer is admitted if any of them admits it.
  let refusal: PeerRefusal | undefined;
  // What one account has pinned takes nothing from another's pin.
  const works = new Map<string, Work>();
  for (const issuer of issuers) {
    const own = works.get(issuer.account) ?? work.part();
    works.set(issuer.account, own);
    const answer = decide(leaf, issuer, input, own);
    if (answer.ok) return answer;
    refusal ??= { ...answer, ...shown };
  }
  return refusal as PeerRefusal;
}

function decide(
  leaf: Certificate,
  issuer: PinnedIssuer,
  input: VerifyPeerInput,
  work: Work,
): VerifiedPeer | PeerRefusal {
  const { now, purposes, denied, allowExpired = false, platformAccount = PLATFORM_ACCOUNT } = input;
  const purpose = purposeFor(leaf, issuer);
  if (purpose === undefined) return { ok: false, ...wrongPurpose(issuer, purposes) };
  const { trustDomain } = input.issuers;
  const named = readIdentity(leaf, purpose, issuer, { account: platformAccount, trustDomain });
  const identity: Identity | undefined = 'code' in named ? undefined : named;
  const refuse = (finding: Finding): PeerRefusal => ({ ok: false, ...finding, ...identity });

  if (!purposes.includes(purpose))
    return refuse(
      purpose === 'registration'
        ? { code: 'wrong-purpose', message: 'extKeyUsage: a registration certificate only registers' }
        : wrongPurpose(issuer, purposes),
    );
  const validity = checkValidity(leaf, now);
  const expired = validity?.code === 'expired';
  if (validity !== undefined && !(expired && allowExpired)) return refuse(validity);
  const wrong = checkIssuer(issuer, now, platformAccount, work, leaf) ?? checkShape(leaf, purpose);
  if (wrong !== undefined) return refuse(wrong);
  if ('code' in named) return refuse(named);

  const facts: PeerFacts = {
    fingerprint: leaf.fingerprint,
    publicKeyHash: leaf.publicKeyHash,
    serialNumber: leaf.serialNumber,
    issuerKeyId: issuer.keyId,
    ...named,
  };
  const reason = denied(facts);
  if (reason !== undefined) {
    const { serialNumber, issuerKeyId } = facts;
    return { ...refuse({ code: 'denied', message: `deny list: ${reason}` }), serialNumber, issuerKeyId };
  }
  const { deviceId = leaf.subject.commonName ?? '' } = named;
  return { ok: true, certificate: leaf, issuer, purpose, ...named, deviceId, expired, facts } as VerifiedPeer;
}

function wrongPurpose({ kind }: PinnedIssuer, purposes: readonly Purpose[]): Finding {
  const message = `issuer: a CA of kind ${kind} signs no ${purposes.join(' or ')} certificates`;
  return { code: 'wrong-purpose', message };
}

function parse(der: Uint8Array): Certificate | (Finding & { fingerprint: string }) {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    const fingerprint = hash('sha256', der, 'hex');
    return { code: 'malformed-certificate', message: error.message, fingerprint };
  }
}

const MAX_TEXT = 100;

/** Nothing in it is verified: cut short, and without characters that could mislead in a log or on a terminal. */
function issuerText(leaf: Certificate): string {
  const name = (leaf.issuer.commonName ?? 'a CA without common name')
    .slice(0, MAX_TEXT)
    .replace(/\p{C}/gu, '?');
  return leaf.authorityKeyId === undefined ? name : `${name} (${leaf.authorityKeyId.slice(0, MAX_TEXT)})`;
}
