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
   * The account's own active CA of a kind, or else the platform's.
   * @throws AuthorityError `no-authority`
   */
  forAccount(account: string, kind: AuthorityKind): HeldAuthority;
  /** The platform's own. @throws AuthorityError `no-authority` */
  forPlatform(kind: AuthorityKind): HeldAuthority;
  /** Whether the platform has an active one of this kind. */
  has(kind: AuthorityKind): boolean;
};

export function authorityRing(held: readonly HeldAuthority[]): AuthorityRing {
  const byId = new Map(held.map((authority) => [authority.document.id, authority]));
  const active = new Map<string, HeldAuthority>();
  for (const authority of held) {
    const { account, kind, state } = authority.document;
    if (state === 'active') active.set(`${account}/${kind}`, authority);
  }
  const forAccount = (account: string, kind: AuthorityKind): HeldAuthority => {
    const found = active.get(`${account}/${kind}`) ?? active.get(`${PLATFORM_ACCOUNT}/${kind}`);
    if (found !== undefined) return found;
    throw new AuthorityError('no-authority', `authority: no active ${kind} CA whose key is at hand`);
  };
  return {
    byId: (id) => byId.get(id),
    forAccount,
    forPlatform: (kind) => forAccount(PLATFORM_ACCOUNT, kind),
    has: (kind) => active.has(`${PLATFORM_ACCOUNT}/${kind}`),
  };
}

const needed = ['factory', 'issuing', 'server'] as const;

/**
 * For `/ready`: what the platform cannot issue, or a warning where what it issues by default would soon outlive its CA;
 * undefined where nothing is wrong.
 */
export function standingOf(
  ring: AuthorityRing,
  soon: { readonly now: number; readonly withinDays: number },
): string | { readonly warning: string } | undefined {
  const missing = needed.filter((kind) => !ring.has(kind));
  if (missing.length > 0) return `no key at hand of an active ${missing.join(', ')} CA`;
  const bound = soon.now + soon.withinDays * 86_400_000;
  const ending = needed
    .map((kind) => ring.forPlatform(kind).document)
    .filter(({ notAfter }) => Date.parse(notAfter) < bound);
  if (ending.length === 0) return undefined;
  return { warning: ending.map(({ id, notAfter }) => `CA "${id}" ends at ${notAfter}`).join('; ') };
}
