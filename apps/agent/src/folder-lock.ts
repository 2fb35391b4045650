import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { AgentError } from './agent-error.ts';

/**
 * Takes a device folder for this process (`agent.lock`): two agents with one identity would throw each other out of the
 * broker for ever. A lock whose process is gone, after a power cut say, is taken over.
 * @throws AgentError `folder-in-use` naming the process that has it
 */
export async function lockFolder(path: string): Promise<AsyncDisposable> {
  const file = join(path, 'agent.lock');
  const { pid } = process;
  const own = `${file}.${pid}`;
  for (;;) {
    // Linked with its content in it: nobody can take an empty lock for a broken one.
    await writeFile(own, `${pid} ${await startOf(pid)}\n`, { mode: 0o600 });
    try {
      await link(own, file);
      return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    } finally {
      await rm(own, { force: true });
    }
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      if (isCode(cause, 'ENOENT')) return undefined;
      throw new AgentError('broken-folder', `${file}: it cannot be read`, { cause });
    });
    const owner = await ownerOf(text ?? '');
    if (owner !== undefined)
      throw new AgentError('folder-in-use', `${file}: process ${owner} runs this device already`);
    if (text !== undefined) await removeStale(file, text);
  }
}

/** Of several that find the same stale lock, one removes it, and none the lock of who was faster. */
async function removeStale(file: string, stale: string): Promise<void> {
  const moved = `${file}.stale.${process.pid}`;
  try {
    await rename(file, moved);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readFile(moved, 'utf8')) !== stale) await link(moved, file).catch(() => {});
  await rm(moved, { force: true });
}

/** The process that holds the lock, if it lives: the same process id after a restart of the machine is another process. */
async function ownerOf(text: string): Promise<number | undefined> {
  const [, pid = '', start] = /^(\d+) (.*)\n$/.exec(text) ?? [];
  if (start === undefined || !isAlive(Number(pid))) return undefined;
  return (await startOf(Number(pid))) === start ? Number(pid) : undefined;
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
