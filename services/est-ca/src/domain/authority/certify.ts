import { randomBytes } from 'node:crypto';
import type { AuthorityKind } from '@signet/contracts';
import {
  type AuthorityKeyType,
  type Certificate,
  createTemplate,
  exportSpki,
  issue,
  issueRoot,
  type Name,
  NO_END,
  parseKey,
  prepare,
  type Signer,
} from '@signet/pki';
import type { AuthorityDocument, KeyPlace } from './authority.ts';
import type { RevocationUrls } from './revocation-urls.ts';

/** Years that a CA lives; absent: no well-defined end (99991231235959Z, RFC 5280 §4.1.2.5). */
export const YEARS: Readonly<Record<AuthorityKind, number | undefined>> = {
  // bootstrap certificates have no end, and nothing may outlive its issuer
  root: undefined,
  factory: undefined,
  issuing: 10,
  server: 10,
};

const DAY_MS = 86_400_000;

type Subject = {
  readonly kind: AuthorityKind;
  readonly subject: Name;
  readonly signer: Signer;
  /** Unix milliseconds. */
  readonly now: number;
};

/**
 * A self-signed root, without bound on the CAs below it: whichever root replaces it is one more of them to verifiers that
 * count self-issued certificates, as Go and GnuTLS do. What it certifies has the bound.
 */
export function certifyRoot({ kind, subject, signer, now }: Subject): Promise<Certificate> {
  return issueRoot({ subject, signer, issuedAt: now, notAfter: endOf(kind, now) });
}

/** A CA below a root, with no CA below itself. It ends with the root at the latest. */
export function certifyBelow(
  root: { readonly certificate: Certificate; readonly signer: Signer },
  {
    kind,
    subject,
    signer,
    now,
    revocationUrls,
    leastDays = 0,
  }: Subject & {
    readonly revocationUrls: RevocationUrls;
    /** Where its kind's years are fewer, it lives for so long. */
    readonly leastDays?: number;
  },
): Promise<Certificate> {
  const template = createTemplate({
    kind: 'authority',
    issuer: root.certificate,
    pathLen: 0,
    ...revocationUrls,
  });
  const linted = prepare(template, {
    subject,
    spkiDer: exportSpki(signer.publicKey),
    issuedAt: now,
    notAfter: Math.min(Math.max(endOf(kind, now), now + leastDays * DAY_MS), root.certificate.notAfter),
  });
  return issue(linted, root.signer);
}

function endOf(kind: AuthorityKind, now: number): number {
  const years = YEARS[kind];
  if (years === undefined) return NO_END;
  const end = new Date(now);
  return end.setUTCFullYear(end.getUTCFullYear() + years);
}

/** The document of a CA that comes into being, in force. */
export function newAuthorityDocument(facts: {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly account: string;
  readonly certificate: Certificate;
  readonly parent: string;
  readonly place: KeyPlace | { readonly custody: 'elsewhere' };
  readonly by?: string;
  /** Unix milliseconds. */
  readonly now: number;
}): AuthorityDocument {
  const { id, kind, account, certificate, parent, place, by, now } = facts;
  return {
    id,
    kind,
    account,
    state: 'active',
    certificate: certificate.pem(),
    parent,
    subjectKeyId: certificate.subjectKeyId ?? '',
    publicKeyHash: certificate.publicKeyHash,
    notAfter: new Date(certificate.notAfter).toISOString(),
    createdAt: new Date(now).toISOString(),
    ...(by === undefined ? {} : { createdBy: by }),
    ...place,
  };
}

/** A new id for a CA of an account; key files, objects in the HSM and URLs bear it. */
export function newAuthorityId(account: string, kind: AuthorityKind): string {
  return `${kind}-${account}-${randomBytes(4).toString('hex')}`;
}

/** The name of a CA that Signet makes for an account. */
export function authorityName(id: string, account: string, kind: AuthorityKind) {
  const suffix = id.split('-').at(-1);
  return { commonName: `${account} ${kind} CA ${suffix}`, organization: account };
}

/** The new key is of the kind that the old one was, or the next stronger one. */
export function keyTypeLike({ spkiDer }: Certificate): AuthorityKeyType {
  const { type } = parseKey(spkiDer);
  if (!type.startsWith('RSA-')) return type === 'P-384' ? 'P-384' : 'P-256';
  return Number(type.slice('RSA-'.length)) > 3072 ? 'RSA-4096' : 'RSA-3072';
}
