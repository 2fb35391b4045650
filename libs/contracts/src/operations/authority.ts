import { z } from 'zod';
import { AuthorityKind, AuthorityState } from '../catalogue/est-ca.ts';
import { Account, Fingerprint, Pem, RevocationReason, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { Authority } from './est-ca.ts';

/** Where the key of a CA lies: an encrypted file of the service, its HSM, or with whoever owns the CA. */
export const KeyCustody = z.enum(['file', 'pkcs11', 'elsewhere']).describe('Where the key of the CA lies');
export type KeyCustody = z.infer<typeof KeyCustody>;

/** What the key of a CA is made as; P-256 where nothing is said. */
export const AuthorityKeyType = z
  .enum(['P-256', 'P-384', 'RSA-3072', 'RSA-4096'])
  .describe('Kind of the key that is made; P-256 by default');

/** Changes of an account's PKI that need the root's signature where the account keeps its root itself. */
export const StatementAction = z.enum([
  'register-root',
  'register-factory',
  'upload',
  'add',
  'create',
  'activate',
  'disable',
  'revoke',
  'replace-root',
  'finish-replacement',
  'fall-back',
]);
export type StatementAction = z.infer<typeof StatementAction>;

/**
 * What the owner of a root signs to prove that a change comes from whoever holds the root's key. `subject`: the
 * SHA-256 fingerprint of the certificate that is registered, uploaded or added; the id of the CA whose state changes;
 * for `create` the kinds, comma-separated; for `fall-back` the kind.
 */
export const PkiStatement = z.object({
  action: StatementAction,
  account: Account,
  subject: z.string().min(1).max(256),
  /** 128 random bits in hex: a statement is good for one change. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/, 'nonce: 32 hex digits'),
  issuedAt: Time,
});
export type PkiStatement = z.infer<typeof PkiStatement>;

/**
 * A statement as its exact text, and the root's signature over that text: what `openssl dgst -sha256 -sign` makes,
 * in base64 (ECDSA in DER).
 */
export const SignedStatement = z.object({
  statement: z.string().min(2).max(2048),
  signature: z.string().min(8).max(2048),
});
export type SignedStatement = z.infer<typeof SignedStatement>;

/** How far the replacement of a root has come. */
export const RootReplacement = z.object({
  /** Id of the root that this one replaces. */
  replaces: z.string(),
  since: Time,
  /** When the cut-over was decided: whatever interrupts it, it is gone through with. */
  cutOverAt: Time.optional(),
  finishedAt: Time.optional(),
});
export type RootReplacement = z.infer<typeof RootReplacement>;

/** An operator's word that the platform's CA may issue for an account whose own of that kind is out of force. */
export const FallBack = z.object({ at: Time, by: z.string(), reason: z.string().optional() });
export type FallBack = z.infer<typeof FallBack>;

/** A CA with what its owner wants to know of it. */
export const AuthorityDetails = Authority.extend({
  /** Common name of its subject. */
  name: z.string(),
  /** Id of the CA that signed it; its own for a root. */
  parent: z.string(),
  custody: KeyCustody,
  fingerprint: Fingerprint,
  /** Where what it signs says that its CRL and its certificate are. */
  crlUrl: z.string().optional(),
  certificateUrl: z.string().optional(),
  createdAt: Time,
  createdBy: z.string().optional(),
  reason: z.string().optional(),
  /** How its owner showed to have its key; absent where nothing was asked for. */
  possession: z.enum(['proven', 'waived']).optional(),
  /** Whether another account has this factory CA pinned too: a device is of neither until it is claimed. */
  isShared: z.boolean().optional(),
  /** For a root that replaces another. */
  replacement: RootReplacement.optional(),
  /** That the platform's CA of this kind may issue while this one is out of force. */
  fallBack: FallBack.optional(),
  /** Id of the CA that is made to issue in its place. */
  successor: z.string().optional(),
});
export type AuthorityDetails = z.infer<typeof AuthorityDetails>;

/** A key that waits for the certificate that the account's root is to sign. */
export const AuthorityRequest = z.object({
  requestId: z.string(),
  kind: AuthorityKind,
  custody: KeyCustody,
  csr: Pem,
  createdAt: Time,
});
export type AuthorityRequest = z.infer<typeof AuthorityRequest>;

const changed = z.object({ authority: AuthorityDetails });
const signed = { statement: SignedStatement.optional(), by: z.string() };
/** What a signed statement can be refused for. */
const statementErrors = [
  'statement-missing',
  'statement-invalid',
  'statement-expired',
  'statement-used',
] as const;

/** The account's own CAs and open requests; for the platform's account, the platform's. */
export const describeAuthorities = operation('est-ca.describe-authorities', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: z.object({
    authorities: z.array(AuthorityDetails),
    requests: z.array(AuthorityRequest),
    /** CAs of the platform that serve the account because it has none of its own of that kind. */
    shared: z.array(AuthorityDetails),
    /** The root that the account would have next: what it signs may name these addresses before it is registered. */
    nextRoot: z.object({ authorityId: z.string(), crlUrl: z.string(), certificateUrl: z.string() }),
  }),
  errors: [],
});

/** Makes CAs of an account below a root that Signet keeps for it; the root too where the account has none. */
export const createAuthorities = operation('est-ca.create-authorities', {
  input: z.object({
    account: Account,
    kinds: z
      .array(z.enum(['factory', 'issuing', 'server']))
      .min(1)
      .max(3)
      .default(['factory', 'issuing', 'server']),
    custody: z.enum(['file', 'pkcs11']).optional(),
    keyType: AuthorityKeyType.optional(),
    by: z.string(),
  }),
  output: z.object({ authorities: z.array(AuthorityDetails) }),
  errors: ['root-elsewhere', 'no-key-store', 'too-many-authorities'],
});

/** Registers the root that an account keeps itself: its public part only. */
export const registerRoot = operation('est-ca.register-root', {
  input: z.object({ account: Account, certificate: z.string().max(65_536), ...signed }),
  output: changed,
  errors: [
    'bad-certificate',
    'does-not-chain',
    'root-exists',
    'authority-exists',
    'too-many-authorities',
    ...statementErrors,
  ],
});

/** Makes the key of an online CA and the request that the account's root is to sign. */
export const requestAuthority = operation('est-ca.request-authority', {
  input: z.object({
    account: Account,
    kind: z.enum(['factory', 'issuing', 'server']),
    custody: z.enum(['file', 'pkcs11']).optional(),
    keyType: AuthorityKeyType.optional(),
    commonName: z.string().min(1).max(64).optional(),
    by: z.string(),
  }),
  output: AuthorityRequest,
  errors: ['no-root', 'no-key-store', 'too-many-authorities'],
});

/** Takes the certificate that the account's root signed for a request. Repeating it changes nothing. */
export const uploadAuthority = operation('est-ca.upload-authority', {
  input: z.object({ account: Account, certificate: z.string().max(65_536), ...signed }),
  output: changed,
  errors: [
    'bad-certificate',
    'does-not-chain',
    'foreign-key',
    'no-root',
    'authority-exists',
    ...statementErrors,
  ],
});

/** How whoever adds a CA shows to have its key. */
const possession = {
  /** The same statement once more, with a nonce of its own, signed with the key of the CA that is added. */
  possession: SignedStatement.optional(),
  /** Why no proof of possession is asked for: the platform's to say. */
  waiver: z.string().min(1).max(256).optional(),
  /** Whether whoever asks has a role in every account. */
  byPlatform: z.boolean().optional(),
};

/** Adds a CA whose key the account keeps: certificates that it makes offline are accepted. */
export const addAuthority = operation('est-ca.add-authority', {
  input: z.object({
    account: Account,
    kind: z.enum(['factory', 'issuing']),
    certificate: z.string().max(65_536),
    ...signed,
    ...possession,
  }),
  output: changed,
  errors: [
    'bad-certificate',
    'does-not-chain',
    'no-root',
    'authority-exists',
    'too-many-authorities',
    'platform-only',
    ...statementErrors,
  ],
});

/** Puts a CA out of force or back in; `revoked` is final. Live sessions below it end within seconds. */
export const setAuthorityState = operation('est-ca.set-authority-state', {
  input: z.object({
    account: Account,
    authorityId: z.string(),
    state: AuthorityState,
    reason: z.string().max(256).optional(),
    /** For `revoked`: the reason that the CRL of whoever certified it gives (RFC 5280 §5.3.1). */
    revocationReason: RevocationReason.exclude(['certificateHold']).optional(),
    ...signed,
  }),
  output: changed,
  errors: ['unknown-authority', 'illegal-transition', ...statementErrors],
});

/**
 * Lets the platform's CA of a kind issue for an account whose own are out of force, or no longer. Without it nothing is
 * issued for an account that ever had one of its own: its devices would get certificates of another hierarchy.
 */
export const setFallBack = operation('est-ca.set-fall-back', {
  input: z.object({
    account: Account,
    kind: z.enum(['factory', 'issuing', 'server']),
    allowed: z.boolean(),
    reason: z.string().max(256).optional(),
    ...signed,
    /** Whether whoever asks has a role in every account. */
    byPlatform: z.boolean().optional(),
  }),
  output: z.object({ authorities: z.array(AuthorityDetails) }),
  errors: ['unknown-authority', 'illegal-transition', 'platform-only', ...statementErrors],
});

/** A CA's name and key, certified by the root that is to come. */
const recertified = z.object({ authorityId: z.string(), certificate: z.string().max(65_536) });

/**
 * Begins to replace the account's root: devices are given both roots from now on, and nothing else changes. Where
 * Signet keeps the root it makes the new one. An account that keeps its root sends the new certificate, each root's
 * key certified by the other, and its CAs certified by the new root. Repeating it completes what is missing.
 */
export const replaceRoot = operation('est-ca.replace-root', {
  input: z.object({
    account: Account,
    own: z
      .object({
        certificate: z.string().max(65_536),
        oldWithNew: z.string().max(65_536),
        newWithOld: z.string().max(65_536),
        recertified: z.array(recertified).max(256).default([]),
      })
      .optional(),
    ...signed,
  }),
  output: changed.extend({
    waiting: z.array(z.string()).describe('CAs that the new root has not certified'),
  }),
  errors: [
    'no-root',
    'root-elsewhere',
    'replacement-exists',
    'bad-certificate',
    'does-not-chain',
    'authority-exists',
    'no-key-store',
    ...statementErrors,
  ],
});

const adoption = z.object({
  account: Account,
  /** Devices with a certificate that is neither expired nor revoked. */
  devices: z.number().int(),
  /** Those that are known to have been given the new root. */
  adopted: z.number().int(),
});

/** A CA below the old root that the new one has not certified: the cut-over would refuse what it signed. */
const unverified = z.object({
  authorityId: z.string(),
  kind: AuthorityKind,
  state: AuthorityState,
  /** Its certificates of devices that are neither expired nor revoked. */
  certificates: z.number().int(),
});

/** How far devices have taken up the new root of an account; of all accounts for the platform's. */
export const rootReplacement = operation('est-ca.root-replacement', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: z.object({
    authority: AuthorityDetails,
    waiting: z.array(z.string()),
    adoption: z.array(adoption),
    /** `<account>/<device>` of devices without the new root; the first 1000. */
    without: z.array(z.string()),
    /** What the cut-over would refuse. */
    unverified: z.array(unverified).default([]),
  }),
  errors: ['no-replacement'],
});

/**
 * Puts the old root out of force. Refused while devices or CAs would be stranded. `force` goes on without the devices
 * and without CAs that are disabled, and the answer names them; a CA in force that the new root has not certified is
 * certified first where Signet keeps the root, and else refuses the cut-over, forced or not. Cut off in between, it is
 * completed by itself, or by repeating it.
 */
export const finishRootReplacement = operation('est-ca.finish-root-replacement', {
  input: z.object({ account: Account, force: z.boolean().default(false), ...signed }),
  output: changed.extend({
    strandedDevices: z.array(z.string()),
    strandedCount: z.number().int(),
    strandedAuthorities: z.array(z.string()),
    unverified: z.array(unverified).default([]),
  }),
  errors: ['no-replacement', 'fleet-not-ready', 'bad-certificate', ...statementErrors],
});

/** Has every service get a new TLS certificate, with a new key, within seconds. */
export const rotateServerCertificates = operation('est-ca.rotate-server-certificates', {
  input: z.object({ by: z.string() }),
  output: z.object({
    /** Server certificates made up to then are replaced. */
    before: Time,
    authorityIds: z.array(z.string()),
  }),
  errors: [],
});
