import {
  Account,
  AuthorityKind,
  AuthorityState,
  CodedError,
  type EventData,
  FallBack,
  Fingerprint,
  FirstContact,
  KeyCustody,
  KeyId,
  newEvent,
  Pem,
  PLATFORM_ACCOUNT,
  RevocationReason,
  RootReplacement,
  type SignetEvent,
  Time,
} from '@signet/contracts';
import type { AuthorityKeyType, Signer } from '@signet/pki';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** How whoever registered an external CA proved to have its key. */
export const Possession = z.enum(['proven', 'waived']);

/**
 * A CA as it is stored: public parts only. `account` is the platform's where tenants share the CA. A subject key id
 * means one key: see `pinAuthority`. Several accounts may pin one external factory CA.
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
  /** SHA-256 of its SubjectPublicKeyInfo; absent where it was pinned before that was kept. */
  publicKeyHash: Fingerprint.optional(),
  /** Absent where nothing was asked for, or it was pinned before that was kept. */
  possession: Possession.optional(),
  createdAt: Time,
  createdBy: z.string().optional(),
  /** Absent: in a file. */
  custody: KeyCustody.optional(),
  /** Where its key is found, without PIN; absent: the file of its id in the key folder. */
  keyUri: z.string().optional(),
  /** Why its state is what it is, and who made it so. */
  reason: z.string().optional(),
  changedBy: z.string().optional(),
  /** When its state became what it is; absent while it has been in force all along. */
  stateSince: Time.optional(),
  /** The end that was announced as near. */
  endAnnounced: Time.optional(),
  /** How near that end was said to be; absent where it was said before there were stages. */
  endStage: z.enum(['near', 'short', 'ended']).optional(),
  /** Id of the CA that is made to issue in its place. */
  successor: z.string().optional(),
  /** Why it was revoked, as CRLs have it. */
  revocationReason: RevocationReason.optional(),
  /** External factory CAs: what becomes of their devices that nobody announced. */
  firstContact: FirstContact.optional(),
  /** An operator's word that the platform's CA of this kind may issue while this one is out of force. */
  fallBack: FallBack.optional(),
  /** Server CAs: TLS certificates given up to then are to be replaced. */
  replaceUpTo: Time.optional(),
  /** Roots: the one that it replaces. */
  replacement: RootReplacement.optional(),
  /** Roots that replace another: each root's key certified by the other root (RFC 4210 §4.4). */
  crossCertificates: z.object({ oldWithNew: Pem, newWithOld: Pem }).optional(),
  /** The same name and key, certified by the root that is to come. */
  nextCertificate: Pem.optional(),
  /** What it had before its root was replaced, and who signed that. */
  formerCertificates: z.array(z.object({ certificate: Pem, parent: z.string() })).optional(),
});
export type AuthorityDocument = z.infer<typeof AuthorityDocument>;

export type AuthorityIndex = 'kind' | 'keyId' | 'key' | 'anyKeyId';
/** CAs as the store keeps them. */
export type Authorities = Collection<AuthorityDocument, AuthorityIndex>;

export const authorities: CollectionSpec<AuthorityDocument, AuthorityIndex> = {
  name: 'est-ca.authorities',
  schema: AuthorityDocument,
  indexes: {
    kind: { fields: ['account', 'kind'] },
    keyId: { fields: ['account', 'subjectKeyId'], unique: true },
    key: { fields: ['account', 'publicKeyHash'], unique: true },
    anyKeyId: { fields: ['subjectKeyId'] },
  },
  migrations: [
    {
      // until then the platform's CA stepped in for a revoked one: whoever is served so goes on, and it shows
      name: 'platform-serves-for-revoked',
      document: (document) => {
        const { state, kind, account, custody, fallBack, stateSince, createdAt } = document;
        const fellBack =
          state === 'revoked' && kind !== 'root' && account !== PLATFORM_ACCOUNT && custody !== 'elsewhere';
        if (!fellBack || fallBack !== undefined) return undefined;
        const word = { at: stateSince ?? createdAt, by: 'signet', reason: 'as earlier releases did' };
        return Object.assign({}, document, { fallBack: word });
      },
    },
  ],
};

/** The `data` of `CA_CREATED` and `CA_CHANGED`. */
export function authorityFacts(document: AuthorityDocument): EventData<'CA_CREATED'> {
  return {
    authorityId: document.id,
    kind: document.kind,
    state: document.state,
    subjectKeyId: document.subjectKeyId,
    notAfter: document.notAfter,
    ...(document.custody === 'elsewhere' ? { keyElsewhere: true } : {}),
  };
}

/** The event of a new CA. */
export function createdEvent(document: AuthorityDocument): SignetEvent {
  return newEvent('CA_CREATED', {
    account: document.account,
    subject: document.id,
    time: Date.parse(document.createdAt),
    data: authorityFacts(document),
  });
}

/** The event of a change. `time` in Unix milliseconds. */
export function changedEvent(
  document: AuthorityDocument,
  time: number,
  reason?: string,
  more: Pick<EventData<'CA_CHANGED'>, 'accountDeleted'> = {},
): SignetEvent {
  return newEvent('CA_CHANGED', {
    account: document.account,
    subject: document.id,
    time,
    data: { ...authorityFacts(document), ...(reason === undefined ? {} : { reason }), ...more },
  });
}

export type AuthorityErrorCode =
  | 'foreign-key'
  | 'missing-key'
  | 'no-authority'
  | 'own-ca-out-of-force'
  | 'no-key-store'
  | 'no-root'
  | 'root-exists'
  | 'root-elsewhere'
  | 'authority-exists'
  | 'platform-only'
  | 'unknown-authority'
  | 'not-a-factory-elsewhere'
  | 'illegal-transition'
  | 'bad-certificate'
  | 'does-not-chain'
  | 'statement-missing'
  | 'statement-invalid'
  | 'statement-expired'
  | 'statement-used'
  | 'no-replacement'
  | 'replacement-exists'
  | 'fleet-not-ready'
  | 'too-many-authorities'
  | 'bad-crl'
  | 'crl-number'
  | 'crl-lists-less';

/** What is wrong with a CA, or with a change of an account's CAs. `message` names the field and the reason. */
export class AuthorityError extends CodedError<AuthorityErrorCode> {}

/** Where a key lies that this service may use. */
export type KeyPlace = {
  readonly custody: 'file' | 'pkcs11';
  /** RFC 7512 for `pkcs11`, without PIN; absent for the file of the CA's id in the key folder. */
  readonly keyUri?: string;
};

export type OpenedKey = KeyPlace & { readonly signer: Signer };

/** `custody`: by default the place that the installation uses; `type`: by default P-256. */
export type WantedKey = {
  readonly custody?: KeyPlace['custody'] | undefined;
  readonly type?: AuthorityKeyType | undefined;
};

/** Where CA keys are kept. Replicas of one installation see the same keys. */
export type AuthorityKeys = {
  /**
   * Opens the key of a CA, and makes it where there is none. Of several that make it at once, all get one key.
   * @throws AuthorityError `no-key-store` where there is no such place here
   */
  openOrCreate(authorityId: string, wanted?: WantedKey): Promise<OpenedKey>;
  /** Undefined where this process does not hold the key of that CA. */
  open(
    document: Pick<AuthorityDocument, 'id' | 'custody' | 'keyUri' | 'certificate'>,
  ): Promise<Signer | undefined>;
};
