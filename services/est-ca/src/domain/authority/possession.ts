import type { SignedStatement } from '@signet/contracts';
import type { Certificate } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { type ProvenChange, requireStatement, type StatementDeps } from './statement.ts';

/** How whoever registers a CA whose key is elsewhere shows to have that key. */
export type Possession = {
  /** Signed with the key of the CA itself. */
  readonly possession?: SignedStatement | undefined;
  /** Why that is not asked for. */
  readonly waiver?: string | undefined;
  /** Whether it is asked for with a role in every account. */
  readonly byPlatform?: boolean | undefined;
};

/**
 * Demands a statement signed with the very key of a CA, or a waiver, which is the platform's to give: whoever registers
 * a CA has its devices come to them.
 * @throws AuthorityError `platform-only`, `statement-…`
 */
export async function requirePossession(
  deps: StatementDeps,
  certificate: Certificate,
  proof: ProvenChange,
  { possession, waiver, byPlatform }: Possession,
): Promise<NonNullable<AuthorityDocument['possession']>> {
  if (possession === undefined && waiver !== undefined) {
    requirePlatform(
      byPlatform,
      'waiver: the proof of possession is waived by the platform’s administrators only',
    );
    return 'waived';
  }
  await requireStatement(deps, [{ id: 'new', certificate: certificate.pem() }], proof, possession, 'ca');
  return 'proven';
}

/** @throws AuthorityError `platform-only` */
export function requirePlatform(byPlatform: boolean | undefined, message: string): void {
  if (byPlatform !== true) throw new AuthorityError('platform-only', message);
}
