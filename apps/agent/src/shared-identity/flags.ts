import { readFile } from 'node:fs/promises';
import process from 'node:process';
import type { Command } from 'commander';
import { AgentError } from '../agent-error.ts';
import type { SharingOptions } from './open-sharing.ts';

/** `--identity`, `--no-identity`, `--identity-group`. */
export function addSharingFlags(program: Command): Command {
  return program
    .option(
      '--identity <folder>',
      'the folder that workloads take the identity from; by default "identity" of the device folder',
      process.env.SIGNET_DEVICE_IDENTITY,
    )
    .option('--no-identity', 'share the identity with nobody')
    .option(
      '--identity-group <group>',
      'the group that may read it, by name or number; by default the owner alone',
      process.env.SIGNET_DEVICE_IDENTITY_GROUP,
    );
}

/** What those flags say. @throws AgentError `bad-group` */
export async function sharingOf(program: Command): Promise<SharingOptions | false> {
  const { identity, identityGroup } = program.opts<{ identity?: string | boolean; identityGroup?: string }>();
  if (identity === false) return false;
  return {
    ...(typeof identity === 'string' ? { path: identity } : {}),
    ...(identityGroup === undefined ? {} : { group: await groupNumber('--identity-group', identityGroup) }),
  };
}

/** A group's number, by its name or number. @throws AgentError `bad-group`, naming the flag */
export async function groupNumber(flag: string, group: string): Promise<number> {
  if (/^\d{1,10}$/.test(group)) return Number(group);
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n');
  const found = lines.map((line) => line.split(':')).find(([name]) => name === group)?.[2];
  if (found === undefined) throw new AgentError('bad-group', `${flag}: no group "${group}" here`);
  return Number(found);
}
