import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Environment } from '../context.ts';
import { wholeNumber } from '../parse-number.ts';

/** `signet devices command <device> <name> [json]`. */
export function commandCommands(program: Command, environment: Environment): void {
  const devices = program.commands.find((command) => command.name() === 'devices');
  if (devices === undefined) throw new Error('devices: its commands come first');
  devices
    .command('command <device> <name> [json]')
    .description('send a signed command: the device runs its program of that name with the JSON as input')
    .option(
      '--expires <seconds>',
      'how long the device may accept the command, in seconds (default 300)',
      wholeNumber(1),
    )
    .action(
      action(
        program,
        environment,
        async (
          { api, say },
          device: string,
          name: string,
          json: string | undefined,
          { expires }: { expires?: number },
        ) => {
          const path = `/v1/accounts/{account}/devices/${encodeURIComponent(device)}/commands`;
          const sent = await api.post<{ id: string; expiresAt: string }>(path, {
            name,
            ...(json === undefined ? {} : { payload: parsed(json) }),
            ...(expires === undefined ? {} : { expiresInSeconds: expires }),
          });
          say(sent, () => `${device}: command ${sent.id} is sent, valid until ${sent.expiresAt}`);
        },
      ),
    );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new CliError(`json: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
