import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import { AgentError } from './agent-error.ts';

const Lock = z.object({ pid: z.number().int(), start: z.string() });

/**
 * Takes a device folder for this process (`agent.lock`): two agents with one identity would throw each other out of the
 * broker for ever. A lock whose process is gone, after a power cut say, is taken over.
 * @throws AgentError `folder-in-use` naming the process that has it
 */
export async function lockFolder(path: string): Promise<AsyncDisposable> {
  const file = join(path, 'agent.lock');
  for (;;) {
    try {
      const handle = await open(file, 'wx', 0o600);
      const { pid } = process;
      await handle
        .writeFile(JSON.stringify({ pid, start: await startOf(pid) }))
        .finally(() => handle.close());
      return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    const owner = await ownerOf(file);
    if (owner !== undefined)
      throw new AgentError('folder-in-use', `${file}: process ${owner} runs this device already`);
    await rm(file, { force: true });
  }
}

/** The process that holds the lock, if it lives: the same process id after a restart of the machine is another process. */
async function ownerOf(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lock = Lock.safeParse(text.startsWith('{') ? JSON.parse(text) : undefined);
  if (!lock.success || !isAlive(lock.data.pid)) return undefined;
  return (await startOf(lock.data.pid)) === lock.data.start ? lock.data.pid : undefined;
}

/** When a process started, as Linux counts it: boot and ticks since. Empty on other systems. */
async function startOf(pid: number): Promise<string> {
  try {
    const [boot, stat] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // Behind the name, which may hold anything, field 22 of proc(5) is the twentieth.
    return `${boot.trim()} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
