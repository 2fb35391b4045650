import type { EnrollmentRequest } from '@signet/contracts';
import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';
import { table } from '../output.ts';

const BASE = '/v1/accounts/{account}/enrollment-requests';

export function requestCommands(program: Command, environment: Environment): void {
  const requests = program.command('requests').description('enrolments that wait for approval');

  requests
    .command('list')
    .description('enrolments that need approval, oldest first')
    .option('--state <state>', 'waiting, approved, issued or declined')
    .action(
      action(program, environment, async ({ api, json }, filter: { state?: string }) => {
        const rows: unknown[][] = [];
        for await (const item of api.all<EnrollmentRequest>(BASE, { ...filter, limit: 1000 })) {
          if (json) console.log(JSON.stringify(item));
          rows.push([
            item.requestId,
            item.deviceId,
            item.profile,
            item.keyType,
            item.subject,
            item.askedAt,
            item.reason === undefined ? item.state : `${item.state}: ${item.reason}`,
          ]);
        }
        if (!json)
          console.log(table(['request', 'device', 'profile', 'key', 'subject', 'asked', 'state'], rows));
      }),
    );

  requests
    .command('approve <request>')
    .description('its device gets one certificate when it asks again')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        const done = await api.post<EnrollmentRequest>(`${BASE}/${encodeURIComponent(id)}/approve`, {});
        say(done, () => `${done.deviceId}: ${done.state}`);
      }),
    );

  requests
    .command('decline <request>')
    .description('its device is refused')
    .requiredOption('--reason <text>', 'told to the device')
    .action(
      action(program, environment, async ({ api, say }, id: string, { reason }: { reason: string }) => {
        const done = await api.post<EnrollmentRequest>(`${BASE}/${encodeURIComponent(id)}/decline`, {
          reason,
        });
        say(done, () => `${done.deviceId}: ${done.state}: ${done.reason}`);
      }),
    );
}
