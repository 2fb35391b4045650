import { randomBytes } from 'node:crypto';
import type { AuthorityKind } from '@signet/contracts';
import type { Certificate } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';
import type { KeyPlace } from './keys.ts';

/** The document of a CA that comes into being, in force. */
export function describeNew(facts: {
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
