import type { Bus } from '@signet/bus';
import {
  authorizeToken,
  findAccount,
  OperationError,
  returnTokenBudget,
  spendTokenBudget,
} from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { Accounts } from '../domain/account/account.ts';
import type { Budgets } from '../domain/budget/budget.ts';
import { type ApiToken, type Operator, operatorOf, readToken } from '../domain/token/api-token.ts';
import { isAllowed } from '../domain/token/permission.ts';

type Deps = {
  readonly accounts: Pick<Accounts, 'get'>;
  readonly tokens: Pick<Collection<ApiToken>, 'get'>;
  readonly budgets: Budgets;
  readonly now: () => number;
};

/**
 * Answers services whose protocols carry an API token: whether it is genuine, live, and allows what is asked, and what
 * its budget gives.
 */
export async function serveAuthorization(bus: Bus, deps: Deps): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { budgets } = deps;
  stack.use(
    await bus.serve(authorizeToken, async ({ token, permission, account }) => {
      const { name, grants, budget } = await operatorWith(deps, token);
      if (isAllowed(grants, permission, account)) {
        await requireAccount(deps, account);
        return { name, hasBudget: budget !== undefined };
      }
      throw new OperationError(
        'forbidden',
        `token "${name}" has no role that gives ${permission} in account "${account}"`,
      );
    }),
  );
  stack.use(
    await bus.serve(findAccount, async ({ account }) => {
      const record = await deps.accounts.get(account);
      return { state: record === undefined ? ('unknown' as const) : record.state };
    }),
  );
  stack.use(
    await bus.serve(spendTokenBudget, async ({ token, account, deviceId }) => {
      const operator = await operatorWith(deps, token);
      const [admitted] = await budgets.admit(operator, [
        { item: `${account}!${deviceId}`, serial: deviceId },
      ]);
      if (admitted?.ok !== true)
        throw new OperationError(
          admitted?.code ?? 'budget-exhausted',
          admitted?.message ?? 'budget: none is left',
        );
      return admitted.place?.own === true ? { use: admitted.place.use } : {};
    }),
  );
  stack.use(
    await bus.serve(returnTokenBudget, async ({ token, use }) => {
      const operator = await operatorWith(deps, token);
      // a use begins with the id of its token: nobody gives back another's
      if (use.startsWith(`${operator.id}/`))
        await budgets.giveBack(operator, { ok: true, place: { use, own: true } });
      return {};
    }),
  );
  return stack.move();
}

/** A registration under a name that is no account makes nothing. Whether one is suspended is asked by whoever decides. */
async function requireAccount({ accounts }: Pick<Deps, 'accounts'>, account: string): Promise<void> {
  const record = await accounts.get(account);
  if (record === undefined)
    throw new OperationError('forbidden', `account: there is no account "${account}"`);
  if (record.state === 'deleted')
    throw new OperationError('forbidden', `account: "${account}" was deleted at ${record.deletedAt}`);
}

async function operatorWith({ tokens, now }: Deps, token: string): Promise<Operator> {
  const presented = readToken(token);
  const operator = presented && operatorOf(await tokens.get(presented.id), presented.secretHash, now());
  if (operator === undefined) throw new OperationError('unauthenticated', 'token: not a valid API token');
  return operator;
}
