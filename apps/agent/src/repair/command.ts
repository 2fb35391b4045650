import { stat } from 'node:fs/promises';
import process from 'node:process';
import type { Command } from 'commander';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { lockFolder } from '../folder-lock.ts';
import { type Repaired, repair } from './repair.ts';

/** `signet-agent repair`: exit code 0 where the folder is sound, or is so now. */
export function addRepairCommand(program: Command, folder: () => DeviceFolder): void {
  program
    .command('repair')
    .description('say what is wrong with the device folder, and what can be done about it')
    .option('--apply', 'do it; what is taken out of use is kept in set-aside/')
    .option('--json', 'for programs')
    .action(async ({ apply = false, json = false }: { apply?: boolean; json?: boolean }) => {
      const device = folder();
      const held = await stat(device.path).catch(() => undefined);
      if (held?.isDirectory() !== true)
        throw new AgentError('not-a-device-folder', `${device.path}: no such folder`);
      await using _lock = await lockFolder(device.path);
      const repaired = await repair(device, { apply });
      if (json) console.log(JSON.stringify(repaired));
      else console.log(repaired.length === 0 ? 'nothing is wrong' : repaired.map(told).join('\n'));
      if (repaired.some(({ done }) => !done)) process.exitCode = 1;
    });
}

function told({ file, reason, remedy, advice, done }: Repaired): string {
  const what = remedy === undefined ? `you: ${advice}` : `${done ? 'done' : 'with --apply'}: ${remedy}`;
  return `${file}: ${reason}\n  ${what}`;
}
