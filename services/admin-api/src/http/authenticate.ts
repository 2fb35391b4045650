import { Problem } from '@signet/service';
import type { Collection } from '@signet/store';
import { type ApiToken, type Operator, operatorOf, readToken } from '../domain/token/api-token.ts';
import { isAllowed, type Permission, spends } from '../domain/token/permission.ts';

/** Who calls, by bearer token (RFC 6750). @throws Problem 401 */
export async function authenticate(
  tokens: Collection<ApiToken>,
  authorization: string | undefined,
  now: number,
): Promise<Operator> {
  const presented = readToken(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '');
  const operator = presented && operatorOf(await tokens.get(presented.id), presented.secretHash, now);
  if (operator === undefined)
    throw new Problem(401, 'unauthenticated', 'authorization: a valid API token is needed');
  return operator;
}

/** A token with a budget may use it up only where that is counted. @throws Problem 403 */
export function demandCounted(operator: Operator, permission: Permission, isBudgeted: boolean): void {
  if (operator.budget === undefined || isBudgeted || !spends.has(permission)) return;
  const message = `token "${operator.name}" has a budget, and this call counts none: make or claim devices singly`;
  throw new Problem(403, 'budget-not-counted', message);
}

/** @throws Problem 403 that names the permission */
export function demand(operator: Operator, permission: Permission, account: string): void {
  if (isAllowed(operator.grants, permission, account)) return;
  const where = account === '*' ? 'in every account' : `in account "${account}"`;
  throw new Problem(
    403,
    'forbidden',
    `token "${operator.name}" has no role that gives ${permission} ${where}`,
  );
}
