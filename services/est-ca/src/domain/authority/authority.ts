import { Account, AuthorityKind, AuthorityState, type EventData, KeyId, Pem, Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

/**
 * A CA as it is stored: public parts only. Its key lies in the key folder under the same id.
 * `account` is the platform's where tenants share the CA.
 */
export const AuthorityDocument = z.object({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/),
  kind: AuthorityKind,
  account: Account,
  state: AuthorityState,
  certificate: Pem,
  /** Id of the CA that signed it; its own id for a root. */
  parent: z.string(),
  subjectKeyId: KeyId,
  notAfter: Time,
  createdAt: Time,
});
export type AuthorityDocument = z.infer<typeof AuthorityDocument>;

export const authorities: CollectionSpec<AuthorityDocument, 'kind'> = {
  name: 'est-ca.authorities',
  schema: AuthorityDocument,
  indexes: { kind: { fields: ['account', 'kind'] } },
};

/** The `data` of `CA_CREATED`. */
export function authorityFacts(document: AuthorityDocument): EventData<'CA_CREATED'> {
  return {
    authorityId: document.id,
    kind: document.kind,
    state: document.state,
    subjectKeyId: document.subjectKeyId,
    notAfter: document.notAfter,
  };
}
