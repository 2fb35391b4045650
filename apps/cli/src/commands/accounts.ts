import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';
import { facts } from '../output.ts';

type Account = {
  account: string;
  state: 'active' | 'suspended' | 'deleted';
  createdAt: string;
  createdBy: string;
  suspendedAt?: string;
  suspendedBy?: string;
  reason?: string;
  devices?: true;
  deletionMarkedAt?: string;
  deletionMarkedBy?: string;
  deletableFrom?: string;
  deletedAt?: string;
  deletedBy?: string;
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
      action(program, environment, async ({ api, list }) => {
        await list(api.all<Account>(BASE, { limit: 1000 }), {
          account: (each) => each.account,
          state: (each) => each.state,
          made: (each) => each.createdAt,
          by: (each) => each.createdBy,
        });
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
            devices: shown.devices === true ? 'cut off' : undefined,
            'marked for deletion':
              shown.deletionMarkedAt === undefined
                ? undefined
                : `${shown.deletionMarkedAt} by ${shown.deletionMarkedBy}`,
            'may be deleted from': shown.state === 'deleted' ? undefined : shown.deletableFrom,
            deleted: shown.deletedAt === undefined ? undefined : `${shown.deletedAt} by ${shown.deletedBy}`,
          }),
        );
      }),
    );

  accounts
    .command('suspend <account>')
    .description('operators read only; no claim, handoff or enrolment is made; live devices go on')
    .option('--reason <text>', 'kept with the account, and shown to its operators')
    .option('--devices', 'cut off its live devices too, until it is resumed')
    .action(
      action(
        program,
        environment,
        async ({ api, say }, account: string, options: { reason?: string; devices?: true }) => {
          const done = await api.post<Account>(`${pathOf(account)}/suspend`, options);
          const cut = done.devices === true ? '; its devices are cut off' : '; its live devices go on';
          say(done, () => `account ${done.account} is suspended${cut}`);
        },
      ),
    );

  accounts
    .command('resume <account>')
    .description('end a suspension, or call a deletion off')
    .action(
      action(program, environment, async ({ api, say }, account: string) => {
        const done = await api.post<Account>(`${pathOf(account)}/resume`, {});
        say(done, () => `account ${done.account} is active`);
      }),
    );

  accounts
    .command('delete <account>')
    .description('mark an account for deletion; seven days later, with --confirm, delete it for good')
    .option('--confirm', 'the second step: delete it now')
    .action(
      action(program, environment, async ({ api, say }, account: string, { confirm }: { confirm?: true }) => {
        if (confirm === true) {
          const gone = await api.delete<Account>(pathOf(account));
          say(gone, () => `account ${gone.account} is deleted; what it had is being removed`);
          return;
        }
        const marked = await api.post<Account>(`${pathOf(account)}/deletion`, {});
        say(marked, () => explanation(marked));
      }),
    );
}

/** What the second step will do, and how to call it off. */
function explanation({ account, deletableFrom }: Account): string {
  return [
    `account ${account} is marked for deletion, and suspended`,
    'its certificates and CAs will be revoked, and its devices given up',
    'its hooks, queues, tokens, profiles, groups, configs and messages will be removed',
    'records of what was issued, entries of the deny list, CRLs and OCSP stay; the name is never given again',
    `to delete it, from ${deletableFrom} on: signet accounts delete ${account} --confirm`,
    `to call it off: signet accounts resume ${account}`,
  ].join('\n');
}
