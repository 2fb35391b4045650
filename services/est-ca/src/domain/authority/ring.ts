import { type AuthorityKind, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { Certificate, Signer, SigningIssuer } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { platformServes } from './own-kind.ts';

/** A CA whose key this process holds. */
export type HeldAuthority = {
  readonly document: AuthorityDocument;
  readonly certificate: Certificate;
  readonly signer: Signer;
  /** What it is bound to as an issuer: by itself, and by the CAs above it. */
  readonly issuer: SigningIssuer;
};

/** The CAs that this process can sign with. */
export type AuthorityRing = {
  byId(id: string): HeldAuthority | undefined;
  /**
   * The account's own CA of a kind that is in force, the newest of several; where it never had one of its own, the
   * platform's. An account whose own CAs are out of force, however that came, gets none without an operator's word, nor
   * one whose key is not at hand: nobody else issues in their place.
   * @throws AuthorityError `no-authority`, `own-ca-out-of-force`
   */
  forAccount(account: string, kind: AuthorityKind): HeldAuthority;
  /** The platform's own. @throws AuthorityError `no-authority` */
  forPlatform(kind: AuthorityKind): HeldAuthority;
  /** Whether the platform has an active one of this kind. */
  has(kind: AuthorityKind): boolean;
  /** Ids of CAs in force that should be at hand and are not. */
  missing(): readonly string[];
  /** What else keeps CAs from issuing, in words for operators. */
  troubles(): readonly string[];
};

type Slot = { readonly own: AuthorityDocument[]; readonly usable: HeldAuthority[]; isMissing: boolean };

/** `known`: all CAs, at hand or not. `now`: an account's CA that has ended by then is out of force. */
export function authorityRing(
  held: readonly HeldAuthority[],
  known: readonly AuthorityDocument[] = held.map(({ document }) => document),
  now: () => number = () => 0,
): AuthorityRing {
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
  const usableOf = (account: string, { usable }: Slot): HeldAuthority | undefined =>
    account === PLATFORM_ACCOUNT
      ? usable.at(-1)
      : usable.findLast(({ document }) => Date.parse(document.notAfter) > now());
  const forAccount = (account: string, kind: AuthorityKind): HeldAuthority => {
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
export function standingOf(
  ring: AuthorityRing,
  soon: { readonly now: number; readonly withinDays: number },
): string | { readonly warning: string } | undefined {
  const missing = needed.filter((kind) => !ring.has(kind));
  const troubles = ring.troubles();
  if (missing.length > 0) {
    const away = ring.missing().map((id) => `no key at hand of CA "${id}"`);
    return [`no active ${missing.join(', ')} CA that can sign`, ...away, ...troubles]
      .slice(0, NAMED)
      .join('; ');
  }
  const bound = soon.now + soon.withinDays * 86_400_000;
  const warnings = needed
    .map((kind) => ring.forPlatform(kind).document)
    .filter(({ notAfter }) => Date.parse(notAfter) < bound)
    .map(({ id, notAfter }) => `CA "${id}" ends at ${notAfter}`);
  const away = ring.missing();
  if (away.length > 0) warnings.push(`no key at hand of CA ${away.join(', ')}`);
  warnings.push(...troubles.slice(0, NAMED));
  if (troubles.length > NAMED) warnings.push(`and ${troubles.length - NAMED} more`);
  return warnings.length === 0 ? undefined : { warning: warnings.join('; ') };
}
