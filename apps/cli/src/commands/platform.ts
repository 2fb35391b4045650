import type { Authority, IssuedCertificate } from '@signet/contracts';
import type { Command } from 'commander';
import { certificateState } from '../certificate-state.ts';
import { action, type Environment, output } from '../context.ts';
import { facts, table } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';
import { parseTime } from '../parse-time.ts';
import { writeSetting } from '../settings.ts';

type Status = { ready: boolean; checks: Record<string, { ok: boolean; reason?: string }> };
type Token = {
  id: string;
  name: string;
  grants: { account: string; role: string }[];
  createdAt: string;
  revokedAt?: string;
};

type Budget = { count?: number; notAfter?: string; serials?: string[] };
type Limits = { count?: number; until?: string; serials?: string[] };
type NewToken = Limits & { role: string; for: string };

function budgetOf({ count, until, serials }: Limits): Budget | undefined {
  if ((count ?? until ?? serials) === undefined) return undefined;
  return {
    ...(count === undefined ? {} : { count }),
    ...(until === undefined ? {} : { notAfter: until }),
    ...(serials === undefined ? {} : { serials }),
  };
}

export function platformCommands(program: Command, environment: Environment): void {
  program
    .command('status')
    .description('show whether the platform is ready, check by check')
    .action(
      action(program, environment, async ({ api, say }) => {
        const status = await api.get<Status>('/v1/status');
        say(status, () => {
          const rows = Object.entries(status.checks).map(([name, { ok, reason }]) => [
            name,
            ok ? 'ok' : 'FAILS',
            reason,
          ]);
          return `${status.ready ? 'ready' : 'NOT READY'}\n${table(['check', 'state', 'why'], rows)}`;
        });
      }),
    );

  program
    .command('authorities')
    .description('list the CAs of the platform')
    .action(
      action(program, environment, async ({ api, list }) => {
        const { authorities } = await api.get<{ authorities: Authority[] }>('/v1/authorities');
        await list(authorities, {
          ca: (a) => a.authorityId,
          kind: (a) => a.kind,
          account: (a) => a.account,
          state: (a) => a.state,
          'valid until': (a) => a.notAfter,
        });
      }),
    );

  program
    .command('config')
    .description('settings in ~/.config/signet/config.json')
    .command('set <name> <value>')
    .description('store url, token, account, ca or fingerprint')
    .action(async (name: string, value: string) => {
      const { json = false } = program.opts<{ json?: boolean }>();
      const file = await writeSetting(name, value, environment.env);
      output(json, environment.stdout).say({ written: file }, () => `stored in ${file}`);
    });

  const certificates = program.command('certificates').description('operational certificates');
  certificates
    .command('list')
    .option('--device <device>', 'only certificates of this device')
    .description('list issued certificates')
    .action(
      action(program, environment, async ({ api, list }, { device }: { device?: string }) => {
        const query = { deviceId: device, limit: 1000 };
        await list(api.all<IssuedCertificate>('/v1/accounts/{account}/certificates', query), {
          'serial number': (c) => c.serialNumber,
          device: (c) => c.deviceId,
          'valid until': (c) => c.notAfter,
          state: (c) => certificateState(c, Date.now()),
        });
      }),
    );
  certificates
    .command('revoke <serial>')
    .option('--reason <reason>', 'a CRL reason (RFC 5280 §5.3.1)', 'unspecified')
    .description('revoke one certificate; the device may enrol again')
    .action(
      action(
        program,
        environment,
        async ({ api, say }, serialNumber: string, { reason }: { reason: string }) => {
          const path = `/v1/accounts/{account}/certificates/${serialOf(serialNumber)}/revoke`;
          const done = await api.post<{ revoked: string[] }>(path, { reason });
          say(done, () =>
            done.revoked.length === 0 ? 'it was revoked before' : `revoked: ${done.revoked.join(', ')}`,
          );
        },
      ),
    );

  certificates
    .command('unhold <serial>')
    .description('release a certificate that was revoked with reason certificateHold')
    .action(
      action(program, environment, async ({ api, say }, serialNumber: string) => {
        const path = `/v1/accounts/{account}/certificates/${serialOf(serialNumber)}/release`;
        const done = await api.post<{ released: boolean }>(path, {});
        say(done, () => (done.released ? 'valid again' : 'was not revoked'));
      }),
    );

  const tokens = program.command('tokens').description('API tokens');
  tokens
    .command('create <name>')
    .description('create a token; it is shown only once')
    .requiredOption('--role <role>', 'viewer, operator, admin, factory or installer')
    .option('--for <account>', 'account of the role; "*" for all accounts', '*')
    .option(
      '--count <n>',
      'budget: maximum number of devices (roles factory, installer and registrar)',
      wholeNumber(1),
    )
    .option('--until <time>', 'budget: valid until this time (RFC 3339)', parseTime)
    .option('--serials <serial...>', 'budget: only these serial numbers, or ranges such as SN-0001..SN-9999')
    .action(
      action(
        program,
        environment,
        async ({ api, say }, name: string, { role, for: account, ...limits }: NewToken) => {
          const budget = budgetOf(limits);
          const made = await api.post<Token & { token: string }>('/v1/tokens', {
            name,
            grants: [{ account, role }],
            ...(budget === undefined ? {} : { budget }),
          });
          say(made, () => facts({ id: made.id, token: made.token }));
        },
      ),
    );
  tokens
    .command('list')
    .description('list the tokens, without their secrets')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<Token>('/v1/tokens'), {
          id: (token) => token.id,
          name: (token) => token.name,
          roles: (token) => token.grants.map(({ account, role }) => `${role}@${account}`).join(' '),
          made: (token) => token.createdAt,
          state: (token) => (token.revokedAt === undefined ? 'live' : 'revoked'),
        });
      }),
    );
  tokens
    .command('budget <id>')
    .description('show the budget of a token, and how much of it is used')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        const state = await api.get<{ budget: Budget; used: number }>(
          `/v1/tokens/${encodeURIComponent(id)}/budget`,
        );
        const { count, notAfter, serials } = state.budget;
        say(state, () =>
          facts({
            used: count === undefined ? undefined : `${state.used} of ${count}`,
            until: notAfter,
            serials: serials?.join(' '),
          }),
        );
      }),
    );
  tokens
    .command('revoke <id>')
    .description('revoke a token at once')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        await api.delete(`/v1/tokens/${encodeURIComponent(id)}`);
        say({ id, revoked: true }, () => `${id} is revoked`);
      }),
    );
}

/** As openssl prints it, too: upper case, with colons. */
function serialOf(given: string): string {
  return encodeURIComponent(
    given
      .replaceAll(':', '')
      .toLowerCase()
      .replace(/^(00)+(?=..)/, ''),
  );
}
