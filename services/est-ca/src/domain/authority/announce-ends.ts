import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { NeededValidity } from '../profile/needed-validity.ts';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';

const DAY_MS = 86_400_000;

export type EndDeps = {
  readonly authorities: Pick<Authorities, 'update'>;
  readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
  readonly neededValidity: (account: string) => Promise<NeededValidity>;
  /** The least that is warned ahead, in days. */
  readonly withinDays: number;
  readonly now: () => number;
};

/**
 * Says `CA_CHANGED`, once, of each CA in force whose end draws near: it is twice as far off as the longest validity that
 * profiles want of it, so that as much time is left to put another in its place. What is issued is never shortened.
 * @returns what is to be warned of
 */
export async function announceEnds(deps: EndDeps): Promise<readonly string[]> {
  const { authorities, neededValidity, withinDays, now } = deps;
  const near: string[] = [];
  for (const document of await deps.readAuthorities()) {
    const { id, kind, account, state, custody, notAfter } = document;
    if (state !== 'active' || kind === 'root' || custody === 'elsewhere') continue;
    const needs =
      kind === 'issuing' && account !== PLATFORM_ACCOUNT ? await neededValidity(account) : undefined;
    const days = Math.max(withinDays, 2 * (needs?.days ?? 0));
    if (Date.parse(notAfter) > now() + days * DAY_MS) continue;
    const profile = needs === undefined ? '' : `; profile "${needs.profile}" gives ${needs.days} days`;
    near.push(`CA "${id}" ends at ${notAfter}${profile}`);
    if (document.endAnnounced === notAfter) continue;
    await authorities.update(id, (current) => {
      if (current.endAnnounced === current.notAfter) return undefined;
      const next = { ...current, endAnnounced: current.notAfter };
      return {
        document: next,
        events: [changedEvent(next, now(), `its end draws near, ${current.notAfter}${profile}`)],
      };
    });
  }
  return near;
}
