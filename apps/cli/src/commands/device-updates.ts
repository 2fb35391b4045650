import type { listUpdates, OperationOutput, ReportedUpdate } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';

type Update = OperationOutput<typeof listUpdates>['items'][number];

/** `signet devices updates <device> [<id>]`. */
export function deviceUpdateCommands(program: Command, environment: Environment): void {
  const devices = program.commands.find((command) => command.name() === 'devices');
  if (devices === undefined) throw new Error('devices: its commands come first');
  devices
    .command('updates <device> [id]')
    .description('list the updates and rotations that a device reported; or show each event of one')
    .action(
      action(program, environment, (context, device: string, id: string | undefined) =>
        id === undefined ? listReported(context, device) : show(context, device, id),
      ),
    );
}

async function listReported({ api, list }: Context, device: string): Promise<void> {
  await list(api.all<Update>(pathOf(device), { limit: 1000 }), {
    id: (update) => update.updateId,
    time: (update) => update.startedAt,
    version: (update) => update.version,
    target: (update) => update.target,
    'last event': (update) => `${update.lastEvent}${outcome(update)}`,
  });
}

async function show({ api, say }: Context, device: string, id: string): Promise<void> {
  let count = 0;
  for await (const event of api.all<ReportedUpdate>(`${pathOf(device)}/${encodeURIComponent(id)}`, {
    limit: 1000,
  })) {
    count++;
    const details = event.details === undefined ? '' : `\n  ${event.details.replaceAll('\n', '\n  ')}`;
    say(event, () => `${event.receivedAt} ${event.event}(${event.target})${outcome(event)}${details}`);
  }
  if (count === 0) throw new CliError(`${device} reported nothing of "${id}"`);
}

function outcome({ success }: { success?: boolean | undefined }): string {
  return success === undefined ? '' : success ? ' -> Succeed' : ' -> Failed';
}

function pathOf(device: string): string {
  return `/v1/accounts/{account}/devices/${encodeURIComponent(device)}/updates`;
}
