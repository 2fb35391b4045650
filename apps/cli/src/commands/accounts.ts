import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';
import { facts, table } from '../output.ts';

type Account = {
  account: string;
  state: 'active' | 'suspended';
  createdAt: string;
  createdBy: string;
  suspendedAt?: string;
  suspendedBy?: string;
  reason?: string;
};

const BASE = '/v1/accounts';
const pathOf = (account: string) => `${BASE}/${encodeURIComponent(account)}`;

/** `signet accounts …`: for administrators of the platform. */
export function accountCommands(program: Command, environment: Environment): void {
  const accounts = program.command('accounts').description('the accounts of the platform');

  accounts
    .command('create <account>')
    .description('make an account')
    .action(
      action(program, environment, async ({ api, say }, account: string) => {
        const made = await api.post<Account>(BASE, { account });
        say(made, () => `account ${made.account} is made`);
      }),
    );

  accounts
    .command('list')
    .description('all accounts')
    .action(
      action(program, environment, async ({ api, json }) => {
        const rows: unknown[][] = [];
        for await (const each of api.all<Account>(BASE, { limit: 1000 })) {
          if (json) console.log(JSON.stringify(each));
          rows.push([each.account, each.state, each.createdAt, each.createdBy]);
        }
        if (!json) console.log(table(['account', 'state', 'made', 'by'], rows));
      }),
    );

  accounts
    .command('show <account>')
    .description('one account')
    .action(
      action(program, environment, async ({ api, say }, account: string) => {
        const shown = await api.get<Account>(pathOf(account));
        say(shown, () =>
          facts({
            account: shown.account,
            state: shown.reason === undefined ? shown.state : `${shown.state} (${shown.reason})`,
            made: `${shown.createdAt} by ${shown.createdBy}`,
            suspended:
              shown.suspendedAt === undefined ? undefined : `${shown.suspendedAt} by ${shown.suspendedBy}`,
          }),
        );
      }),
    );

  accounts
    .command('suspend <account>')
    .description('operators read only; nothing is claimed, handed over or enrolled; live devices go on')
    .option('--reason <text>', 'kept with the account, and shown to its operators')
    .action(
      action(program, environment, async ({ api, say }, account: string, { reason }: { reason?: string }) => {
        const done = await api.post<Account>(`${pathOf(account)}/suspend`, { reason });
        say(done, () => `account ${done.account} is suspended`);
      }),
    );

  accounts
    .command('resume <account>')
    .description('end a suspension')
    .action(
      action(program, environment, async ({ api, say }, account: string) => {
        const done = await api.post<Account>(`${pathOf(account)}/resume`, {});
        say(done, () => `account ${done.account} is active`);
      }),
    );
}
