import { PkiStatement, readForeignJson, type SignedStatement, type StatementAction } from '@signet/contracts';
import {
  type Certificate,
  decodeBase64,
  parseCertificatePem,
  signatureAlgorithmFor,
  verifySignature,
} from '@signet/pki';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { type AuthorityDocument, AuthorityError } from './authority.ts';

/** How old a statement may be: a key ceremony takes its time. */
export const STATEMENT_LIFETIME_MS = 24 * 3_600_000;
/** How far ahead the owner's clock may be. */
const SKEW_MS = 300_000;

/** A statement that was used. Its id is account and nonce. */
export const UsedStatement = z.object({ id: z.string(), statement: z.string(), usedAt: z.string() });
export type UsedStatement = z.infer<typeof UsedStatement>;

export const usedStatements: CollectionSpec<UsedStatement, 'used'> = {
  name: 'est-ca.statements',
  schema: UsedStatement,
  indexes: { used: { fields: ['usedAt'] } },
};

export type StatementDeps = {
  readonly statements: Pick<Collection<UsedStatement>, 'insert'>;
  readonly now: () => number;
};

/** The change that a statement has to speak of. */
export type ProvenChange = {
  readonly action: StatementAction;
  readonly account: string;
  readonly subject: string;
};

/**
 * Demands that whoever asks for a change holds the key of one of `roots` (F44). A statement is used up before the
 * change is made: whatever happens then, it proves nothing a second time.
 * @throws AuthorityError `statement-missing`, `statement-invalid`, `statement-expired`, `statement-used`
 */
export async function requireStatement(
  deps: StatementDeps,
  roots: readonly Pick<AuthorityDocument, 'id' | 'certificate'>[],
  wanted: ProvenChange,
  signed: SignedStatement | undefined,
  of: 'root' | 'ca' = 'root',
): Promise<void> {
  if (signed === undefined)
    throw new AuthorityError(
      'statement-missing',
      `statement: "${wanted.action}" in account "${wanted.account}" has to be signed with the key of ${of === 'root' ? 'its root' : 'the CA itself'}`,
    );
  const statement = parse(signed.statement);
  for (const field of ['action', 'account', 'subject'] as const)
    if (statement[field] !== wanted[field])
      throw new AuthorityError(
        'statement-invalid',
        `statement: ${field} is "${statement[field]}", not "${wanted[field]}"`,
      );
  if (!roots.some(({ certificate }) => isSigned(signed, certificate)))
    throw new AuthorityError(
      'statement-invalid',
      `signature: it is not one of ${of === 'root' ? "the account's root" : 'the key of the CA'}`,
    );
  const now = deps.now();
  const age = now - Date.parse(statement.issuedAt);
  if (age > STATEMENT_LIFETIME_MS || age < -SKEW_MS)
    throw new AuthorityError(
      'statement-expired',
      `statement: issuedAt ${statement.issuedAt} is not within the last 24 hours`,
    );
  try {
    await deps.statements.insert({
      id: `${statement.account}/${statement.nonce}`,
      statement: signed.statement,
      usedAt: new Date(now).toISOString(),
    });
  } catch (cause) {
    if (!isDuplicate(cause)) throw cause;
    throw new AuthorityError('statement-used', `statement: nonce ${statement.nonce} was used before`, {
      cause,
    });
  }
}

function parse(text: string): PkiStatement {
  try {
    return PkiStatement.parse(readForeignJson(text, 'statement'));
  } catch (cause) {
    throw new AuthorityError('statement-invalid', 'statement: not the JSON of a statement', { cause });
  }
}

function isSigned({ statement, signature }: SignedStatement, root: string): boolean {
  try {
    const { publicKey } = parseCertificatePem(root);
    const algorithm = { oid: '', name: signatureAlgorithmFor(publicKey) };
    return verifySignature(algorithm, Buffer.from(statement), decodeBase64(signature), publicKey);
  } catch {
    return false;
  }
}

/** How whoever registers an external CA proves to have its key. */
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
