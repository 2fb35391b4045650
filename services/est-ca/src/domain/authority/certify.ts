import type { AuthorityKind } from '@signet/contracts';
import {
  type Certificate,
  createTemplate,
  exportSpki,
  issue,
  issueRoot,
  type Name,
  NO_END,
  prepare,
  type Signer,
} from '@signet/pki';
import type { Pointers } from './pointers.ts';

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
    pointers,
    leastDays = 0,
  }: Subject & {
    readonly pointers: Pointers;
    /** Where its kind's years are fewer, it lives for so long. */
    readonly leastDays?: number;
  },
): Promise<Certificate> {
  const template = createTemplate({
    kind: 'authority',
    issuer: root.certificate,
    pathLen: 0,
    ...pointers,
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
