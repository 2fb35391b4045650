import type { EnrollmentRequest, RegistrationRequest } from '@signet/contracts';
import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';

const BASE = '/v1/accounts/{account}/requests';

type PendingRequest =
  | (RegistrationRequest & { readonly kind: 'registration' })
  | (EnrollmentRequest & { readonly kind: 'enrollment' });

export function requestCommands(program: Command, environment: Environment): void {
  const requests = program
    .command('requests')
    .description('requests of devices that need an operator’s approval');

  requests
    .command('list')
    .description('list registrations, then enrolments that need approval, oldest first')
    .option('--state <state>', 'waiting, approved, issued, declined or expired')
    .option('--kind <kind>', 'registration or enrollment')
    .action(
      action(program, environment, async ({ api, list }, filter: { state?: string; kind?: string }) => {
        await list(api.all<PendingRequest>(BASE, { ...filter, limit: 1000 }), {
          request: (item) => item.requestId,
          kind: (item) => item.kind,
          device: (item) => item.deviceId,
          key: (item) => item.keyType,
          asks: shown,
          asked: (item) => item.askedAt,
          state: (item) => (item.reason === undefined ? item.state : `${item.state}: ${item.reason}`),
        });
      }),
    );

  requests
    .command('approve <request>')
    .description('approve a request: the device gets its certificate when it asks again')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        const done = await api.post<PendingRequest>(`${BASE}/${encodeURIComponent(id)}/approve`, {});
        say(done, () => `${done.deviceId}: ${done.state}`);
      }),
    );

  requests
    .command('decline <request>')
    .description('decline a request: the device is refused')
    .requiredOption('--reason <text>', 'reason, sent to the device')
    .action(
      action(program, environment, async ({ api, say }, id: string, { reason }: { reason: string }) => {
        const done = await api.post<PendingRequest>(`${BASE}/${encodeURIComponent(id)}/decline`, {
          reason,
        });
        say(done, () => `${done.deviceId}: ${done.state}: ${done.reason}`);
      }),
    );
}

/** What it asks with, and what it says of itself. */
function shown(item: PendingRequest): string {
  if (item.kind === 'enrollment') return `${item.profile}, ${item.subject}`;
  const details = Object.entries(item.details).map(([name, value]) => `${name}=${value}`);
  const text = [item.registrationCertificate, item.group, ...details].filter(Boolean).join(', ');
  return text.replace(/\p{C}/gu, '?');
}
