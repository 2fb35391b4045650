import type { Bus, Subscription } from '@signet/bus';
import { authorizeToken, OperationError } from '@signet/contracts';
import type { Collection } from '@signet/store';
import { type ApiToken, operatorOf, readToken } from '../domain/api-token.ts';
import { isAllowed } from '../domain/permission.ts';

/** Answers services whose protocols carry an API token: whether it is genuine, live, and allows what is asked. */
export function serveAuthorization(
  bus: Bus,
  { tokens, now }: { readonly tokens: Pick<Collection<ApiToken>, 'get'>; readonly now: () => number },
): Promise<Subscription> {
  return bus.serve(authorizeToken, async ({ token, permission, account }) => {
    const presented = readToken(token);
    const operator = presented && operatorOf(await tokens.get(presented.id), presented.secretHash, now());
    if (operator === undefined) throw new OperationError('unauthenticated', 'token: not a valid API token');
    if (isAllowed(operator.grants, permission, account)) return { name: operator.name };
    throw new OperationError(
      'forbidden',
      `token "${operator.name}" has no role that gives ${permission} in account "${account}"`,
    );
  });
}
