import { type AuthorityKind, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { Certificate, Signer } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';
import { AuthorityError } from './authority-error.ts';

/** A CA whose key this process holds. */
export type HeldAuthority = {
  readonly document: AuthorityDocument;
  readonly certificate: Certificate;
  readonly signer: Signer;
};

/** The CAs that this process can sign with. */
export type AuthorityRing = {
  byId(id: string): HeldAuthority | undefined;
  /**
   * The account's own CA of a kind that is in force, the newest of several; where it has none of its own, the
   * platform's. An account whose own CAs are all disabled, or whose key is not at hand, gets none: nobody else issues
   * in their place.
   * @throws AuthorityError `no-authority`
   */
  forAccount(account: string, kind: AuthorityKind): HeldAuthority;
  /** The platform's own. @throws AuthorityError `no-authority` */
  forPlatform(kind: AuthorityKind): HeldAuthority;
  /** Whether the platform has an active one of this kind. */
  has(kind: AuthorityKind): boolean;
  /** Ids of CAs in force that should be at hand and are not. */
  missing(): readonly string[];
};

/** `known`: all CAs, at hand or not. */
export function authorityRing(
  held: readonly HeldAuthority[],
  known: readonly AuthorityDocument[] = held.map(({ document }) => document),
): AuthorityRing {
  const byId = new Map(held.map((authority) => [authority.document.id, authority]));
  const documents = new Map(known.map((document) => [document.id, document]));
  const ownOf = new Map<string, HeldAuthority | undefined>();
  const missing: string[] = [];
  for (const document of known.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1))) {
    const { id, account, kind, state, custody } = document;
    if (custody === 'elsewhere' || state === 'revoked') continue;
    const slot = `${account}/${kind}`;
    const usable = isInForce(document, documents) ? byId.get(id) : undefined;
    if (usable === undefined && state === 'active' && kind !== 'root') missing.push(id);
    ownOf.set(slot, usable ?? ownOf.get(slot));
  }
  const forAccount = (account: string, kind: AuthorityKind): HeldAuthority => {
    const slot = `${account}/${kind}`;
    const found = ownOf.get(ownOf.has(slot) ? slot : `${PLATFORM_ACCOUNT}/${kind}`);
    if (found !== undefined) return found;
    const whose = ownOf.has(slot) ? ` of account "${account}"` : '';
    throw new AuthorityError('no-authority', `authority: no active ${kind} CA${whose} whose key is at hand`);
  };
  return {
    byId: (id) => byId.get(id),
    forAccount,
    forPlatform: (kind) => forAccount(PLATFORM_ACCOUNT, kind),
    has: (kind) => ownOf.get(`${PLATFORM_ACCOUNT}/${kind}`) !== undefined,
    missing: () => missing,
  };
}

/** Whether a CA and every one above it that is on record is active. */
export function isInForce(
  document: AuthorityDocument,
  documents: ReadonlyMap<string, AuthorityDocument>,
): boolean {
  const seen = new Set<AuthorityDocument>();
  for (let next: AuthorityDocument | undefined = document; next !== undefined && !seen.has(next); ) {
    if (next.state !== 'active') return false;
    seen.add(next);
    next = documents.get(next.parent);
  }
  return true;
}

const needed = ['factory', 'issuing', 'server'] as const;

/**
 * For `/ready`: what the platform cannot issue, or a warning where what it issues by default would soon outlive its CA,
 * or where the key of an account's CA is not at hand; undefined where nothing is wrong.
 */
export function standingOf(
  ring: AuthorityRing,
  soon: { readonly now: number; readonly withinDays: number },
): string | { readonly warning: string } | undefined {
  const missing = needed.filter((kind) => !ring.has(kind));
  if (missing.length > 0) return `no key at hand of an active ${missing.join(', ')} CA`;
  const bound = soon.now + soon.withinDays * 86_400_000;
  const warnings = needed
    .map((kind) => ring.forPlatform(kind).document)
    .filter(({ notAfter }) => Date.parse(notAfter) < bound)
    .map(({ id, notAfter }) => `CA "${id}" ends at ${notAfter}`);
  const away = ring.missing();
  if (away.length > 0) warnings.push(`no key at hand of CA ${away.join(', ')}`);
  return warnings.length === 0 ? undefined : { warning: warnings.join('; ') };
}
