import { type AuthorityKind, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { Certificate, Signer, SigningIssuer } from '@signet/pki';
import { type Authorities, type AuthorityDocument, AuthorityError, type AuthorityKeys } from './authority.ts';
import { readAuthorities } from './chains.ts';
import { signingCa } from './ensure-hierarchy.ts';

/** A CA whose key this process holds. */
export type SigningCa = {
  readonly document: AuthorityDocument;
  readonly certificate: Certificate;
  readonly signer: Signer;
  /** What it is bound to as an issuer: by itself, and by the CAs above it. */
  readonly issuer: SigningIssuer;
};

/** The CAs that this process can sign with. */
export type IssuerRegistry = {
  byId(id: string): SigningCa | undefined;
  /**
   * The account's own CA of a kind that is in force, the newest of several; where it never had one of its own, the
   * platform's. An account whose own CAs are out of force, however that came, gets none without an operator's word, nor
   * one whose key is not at hand: nobody else issues in their place.
   * @throws AuthorityError `no-authority`, `own-ca-out-of-force`
   */
  forAccount(account: string, kind: AuthorityKind): SigningCa;
  /** The platform's own. @throws AuthorityError `no-authority` */
  forPlatform(kind: AuthorityKind): SigningCa;
  /** Whether the platform has an active one of this kind. */
  has(kind: AuthorityKind): boolean;
  /** Ids of CAs in force that should be at hand and are not. */
  missing(): readonly string[];
  /** What else keeps CAs from issuing, in words for operators. */
  troubles(): readonly string[];
};

type Slot = { readonly own: AuthorityDocument[]; readonly usable: SigningCa[]; isMissing: boolean };

/** `known`: all CAs, at hand or not. `now`: an account's CA that has ended by then is out of force. */
export function issuerRegistry(
  held: readonly SigningCa[],
  known: readonly AuthorityDocument[] = held.map(({ document }) => document),
  now: () => number = () => 0,
): IssuerRegistry {
  const byId = new Map(held.map((authority) => [authority.document.id, authority]));
  const documents = new Map(known.map((document) => [document.id, document]));
  const slots = new Map<string, Slot>();
  const missing: string[] = [];
  const cutOff: string[] = [];
  for (const document of known.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1))) {
    const { id, account, kind, state, custody } = document;
    if (custody === 'elsewhere') continue;
    const name = `${account}/${kind}`;
    const slot: Slot = slots.get(name) ?? { own: [], usable: [], isMissing: false };
    slots.set(name, slot);
    slot.own.push(document);
    const authority = byId.get(id);
    const above = outOfForceBy(document, documents);
    // nobody misses one that has ended
    const hasEnded = Date.parse(document.notAfter) <= now();
    if (above !== undefined && state === 'active' && kind !== 'root' && !hasEnded)
      cutOff.push(`CA "${id}" is out of force: "${above.id}" above it is ${above.state}`);
    if (above !== undefined) continue;
    if (authority !== undefined) slot.usable.push(authority);
    else if (kind !== 'root' && !hasEnded) {
      slot.isMissing = true;
      missing.push(id);
    }
  }
  /** What becomes of the platform's is told apart, and it has nobody to fall back on. */
  const usableOf = (account: string, { usable }: Slot): SigningCa | undefined =>
    account === PLATFORM_ACCOUNT
      ? usable.at(-1)
      : usable.findLast(({ document }) => Date.parse(document.notAfter) > now());
  const forAccount = (account: string, kind: AuthorityKind): SigningCa => {
    const slot = slots.get(`${account}/${kind}`);
    const own = slot === undefined ? undefined : usableOf(account, slot);
    if (own !== undefined) return own;
    if (account === PLATFORM_ACCOUNT) throw noAuthority(kind);
    if (slot?.isMissing === true) throw noAuthority(kind, account);
    if (slot === undefined || platformServes(slot.own)) return forAccount(PLATFORM_ACCOUNT, kind);
    throw new AuthorityError(
      'own-ca-out-of-force',
      `authority: each ${kind} CA of account "${account}" is out of force, and the platform's does not step in without an operator's word`,
    );
  };
  const stopped = (): string[] =>
    [...slots.values()].flatMap((slot) => {
      const [first] = slot.own;
      if (first === undefined || first.account === PLATFORM_ACCOUNT || first.kind === 'root') return [];
      if (slot.isMissing || platformServes(slot.own) || usableOf(first.account, slot) !== undefined)
        return [];
      return [
        `account "${first.account}" gets nothing of kind ${first.kind}, each CA of its own is out of force: enable or make one, or "signet ca fall-back"`,
      ];
    });
  return {
    byId: (id) => byId.get(id),
    forAccount,
    forPlatform: (kind) => forAccount(PLATFORM_ACCOUNT, kind),
    has: (kind) => slots.get(`${PLATFORM_ACCOUNT}/${kind}`)?.usable.at(-1) !== undefined,
    missing: () => missing,
    troubles: () => [...cutOff, ...stopped()],
  };
}

function noAuthority(kind: AuthorityKind, account?: string): AuthorityError {
  const whose = account === undefined ? '' : ` of account "${account}"`;
  return new AuthorityError('no-authority', `authority: no active ${kind} CA${whose} whose key is at hand`);
}

/** Whether a CA and every one above it that is on record is active. */
export function isInForce(
  document: AuthorityDocument,
  documents: ReadonlyMap<string, AuthorityDocument>,
): boolean {
  return outOfForceBy(document, documents) === undefined;
}

/** The first that is not active, of a CA and those above it. */
function outOfForceBy(
  document: AuthorityDocument,
  documents: ReadonlyMap<string, AuthorityDocument>,
): AuthorityDocument | undefined {
  const seen = new Set<AuthorityDocument>();
  for (let next: AuthorityDocument | undefined = document; next !== undefined && !seen.has(next); ) {
    if (next.state !== 'active') return next;
    seen.add(next);
    next = documents.get(next.parent);
  }
  return undefined;
}

const needed = ['factory', 'issuing', 'server'] as const;

/** Troubles that `/ready` names. */
const NAMED = 10;

/**
 * For `/ready`: what the platform cannot issue, or a warning where what it issues by default would soon outlive its CA,
 * or where an account's CA is out of force or its key not at hand; undefined where nothing is wrong.
 */
export function registryStatus(
  registry: IssuerRegistry,
  soon: { readonly now: number; readonly withinDays: number },
): string | { readonly warning: string } | undefined {
  const missing = needed.filter((kind) => !registry.has(kind));
  const troubles = registry.troubles();
  if (missing.length > 0) {
    const unavailable = registry.missing().map((id) => `no key at hand of CA "${id}"`);
    return [`no active ${missing.join(', ')} CA that can sign`, ...unavailable, ...troubles]
      .slice(0, NAMED)
      .join('; ');
  }
  const bound = soon.now + soon.withinDays * 86_400_000;
  const warnings = needed
    .map((kind) => registry.forPlatform(kind).document)
    .filter(({ notAfter }) => Date.parse(notAfter) < bound)
    .map(({ id, notAfter }) => `CA "${id}" ends at ${notAfter}`);
  const unavailable = registry.missing();
  if (unavailable.length > 0) warnings.push(`no key at hand of CA ${unavailable.join(', ')}`);
  warnings.push(...troubles.slice(0, NAMED));
  if (troubles.length > NAMED) warnings.push(`and ${troubles.length - NAMED} more`);
  return warnings.length === 0 ? undefined : { warning: warnings.join('; ') };
}

/** A registry that follows the CAs on record. */
export type RefreshedRegistry = IssuerRegistry & {
  /** Reads the CAs anew; what has not changed stays the same object. @throws StoreError */
  refresh(): Promise<void>;
};

/** `onLost` is told of a CA whose key cannot be opened here; the others go on. */
export function refreshedRegistry(
  deps: {
    readonly authorities: Pick<Authorities, 'find'>;
    readonly keys: AuthorityKeys;
    readonly now: () => number;
    readonly onLost: (authorityId: string, error: unknown) => void;
  },
  first: readonly SigningCa[],
): RefreshedRegistry {
  const signers = new Map(first.map(({ document, signer }) => [document.id, signer]));
  let held = new Map<string, SigningCa>();
  let registry = issuerRegistry(first, undefined, deps.now);
  let work: Promise<void> | undefined;
  let again: Promise<void> | undefined;

  const hold = async (
    document: AuthorityDocument,
    documents: readonly AuthorityDocument[],
  ): Promise<SigningCa | undefined> => {
    const before = held.get(document.id);
    if (before?.document.certificate === document.certificate) return { ...before, document };
    try {
      const signer = before?.signer ?? signers.get(document.id) ?? (await deps.keys.open(document));
      return signer === undefined ? undefined : signingCa(document, signer, documents);
    } catch (error) {
      deps.onLost(document.id, error);
      return undefined;
    }
  };
  const read = async (): Promise<void> => {
    const documents = await readAuthorities(deps.authorities);
    const now = new Map<string, SigningCa>();
    for (const document of documents) {
      const authority = document.custody === 'elsewhere' ? undefined : await hold(document, documents);
      if (authority !== undefined) now.set(document.id, authority);
    }
    held = now;
    registry = issuerRegistry([...now.values()], documents, deps.now);
  };
  // a refresh that is asked for while one runs starts after it: what runs may have read too early
  const refresh = (): Promise<void> => {
    if (again !== undefined) return again;
    const before = work;
    if (before === undefined) {
      work = read().finally(() => {
        work = undefined;
      });
      return work;
    }
    again = before
      .catch(() => {})
      .then(() => {
        again = undefined;
        work = read().finally(() => {
          work = undefined;
        });
        return work;
      });
    return again;
  };
  return {
    byId: (id) => registry.byId(id),
    forAccount: (account, kind) => registry.forAccount(account, kind),
    forPlatform: (kind) => registry.forPlatform(kind),
    has: (kind) => registry.has(kind),
    missing: () => registry.missing(),
    troubles: () => registry.troubles(),
    refresh,
  };
}

/**
 * CAs of an account by which it has a kind of its own: once it had one, the platform's does not step in by itself,
 * whatever becomes of that one. One whose key the account keeps issues nothing here, and counts for nothing.
 */
export function ownOfKind(
  existing: readonly AuthorityDocument[],
  kind: AuthorityKind,
): readonly AuthorityDocument[] {
  return existing.filter((document) => document.kind === kind && document.custody !== 'elsewhere');
}

/** Whether the platform's CA of a kind issues for an account that has these: none, or an operator said so of each. */
export function platformServes(own: readonly AuthorityDocument[]): boolean {
  return own.every(({ fallBack }) => fallBack !== undefined);
}
