import { Account, type AuthorityRequest, KeyCustody, Pem, Time } from '@signet/contracts';
import { type AuthorityKeyType, createSignedCsr, encodePem } from '@signet/pki';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { type Authorities, AuthorityError, type AuthorityKeys, type KeyPlace } from './authority.ts';
import { authorityName, newAuthorityId } from './certify.ts';
import { authoritiesOf } from './chains.ts';
import { activeRoot, type QuotaDeps, requireQuota } from './create-authorities.ts';

/** A key that waits for its certificate. Its id becomes that of the CA. */
export const RequestDocument = z.object({
  id: z.string(),
  account: Account,
  kind: z.enum(['factory', 'issuing', 'server']),
  custody: KeyCustody.exclude(['elsewhere']),
  keyUri: z.string().optional(),
  csr: Pem,
  /** SHA-256 of the SubjectPublicKeyInfo. */
  publicKeyHash: z.string(),
  createdAt: Time,
  createdBy: z.string(),
});
export type RequestDocument = z.infer<typeof RequestDocument>;

type RequestIndex = 'account' | 'key';
export type AuthorityRequests = Collection<RequestDocument, RequestIndex>;

export const authorityRequests: CollectionSpec<RequestDocument, RequestIndex> = {
  name: 'est-ca.authority-requests',
  schema: RequestDocument,
  indexes: {
    account: { fields: ['account', 'createdAt'] },
    key: { fields: ['account', 'publicKeyHash'], unique: true },
  },
};

/**
 * Makes the key of an online CA and a CSR that asks for what the CA needs: CA:true, pathLen 0, keyCertSign, cRLSign.
 * @throws AuthorityError `no-root` where the account has no root in force, `no-key-store`
 */
export async function requestAuthority(
  deps: QuotaDeps & {
    readonly authorities: Authorities;
    readonly requests: AuthorityRequests;
    readonly keys: AuthorityKeys;
    readonly now: () => number;
  },
  wanted: {
    readonly account: string;
    readonly kind: RequestDocument['kind'];
    readonly custody?: KeyPlace['custody'] | undefined;
    readonly keyType?: AuthorityKeyType | undefined;
    readonly commonName?: string | undefined;
    readonly by: string;
  },
): Promise<RequestDocument> {
  const { account, kind, by } = wanted;
  const existing = await authoritiesOf(deps.authorities, account);
  if (activeRoot(existing) === undefined)
    throw new AuthorityError('no-root', `root: account "${account}" has registered none`);
  await requireQuota(deps, account, existing);
  const id = newAuthorityId(account, kind);
  const { signer, ...place } = await deps.keys.openOrCreate(id, {
    custody: wanted.custody,
    type: wanted.keyType,
  });
  const subject = authorityName(id, account, kind);
  const { der, publicKeyHash } = await createSignedCsr(signer, {
    subject: { ...subject, commonName: wanted.commonName ?? subject.commonName },
    authority: { pathLen: 0 },
  });
  const document: RequestDocument = {
    id,
    account,
    kind,
    ...place,
    csr: encodePem('CERTIFICATE REQUEST', der),
    publicKeyHash,
    createdAt: new Date(deps.now()).toISOString(),
    createdBy: by,
  };
  await deps.requests.insert(document);
  return document;
}

/** A request as its owner sees it. */
export function describeRequest({ id, kind, custody, csr, createdAt }: RequestDocument): AuthorityRequest {
  return { requestId: id, kind, custody, csr, createdAt };
}
