import { randomUUID } from 'node:crypto';
import { link, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { AgentError, ownError } from './agent-error.ts';
import { pause } from './pause.ts';

const AGAIN_MS = 20;

/**
 * Takes a device folder for this process (`agent.lock`): two agents with one identity would throw each other out of the
 * broker for ever. A lock whose process is gone, after a power cut say, is taken over.
 * @throws AgentError `folder-in-use` naming the process that has it, `disk` where none can be made now
 */
export async function lockFolder(path: string): Promise<AsyncDisposable> {
  const file = join(path, 'agent.lock');
  while (!(await isTaken(file))) {
    const holder = await holderOf(file);
    if (typeof holder === 'number')
      throw new AgentError('folder-in-use', `${file}: process ${holder} runs this device already`);
    if (holder === 'stale') await removeStale(file);
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }).catch(() => {}) };
}

/** Whether this process has made the lock. It appears with its content: nobody takes an empty one for a broken one. */
async function isTaken(file: string): Promise<boolean> {
  const { pid } = process;
  const own = `${file}.${pid}.${randomUUID()}`;
  const text = `${pid} ${await startOf(pid)}`;
  try {
    try {
      await writeFile(own, `${text}\n`, { mode: 0o600 });
      await link(own, file);
    } catch (error) {
      if (!isCode(error, 'ENOSPC') && !isCode(error, 'EDQUOT')) throw error;
      // a full disk has no room for a file, but for a link: what it leads to is the text
      await symlink(text, file);
    }
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw ownError(error, file) ?? error;
  } finally {
    await rm(own, { force: true }).catch(() => {});
  }
}

/** One at a time looks again and removes: the lock of who was faster is never taken for the stale one. */
async function removeStale(file: string): Promise<void> {
  const taking = `${file}.taking`;
  if (!(await isTaken(taking))) {
    const taker = await holderOf(taking);
    if (taker === 'stale') await rm(taking, { force: true });
    else if (taker !== 'none') await pause(AGAIN_MS);
    return;
  }
  try {
    if ((await holderOf(file)) === 'stale') await rm(file, { force: true });
  } finally {
    await rm(taking, { force: true });
  }
}

/**
 * The process that holds the lock, if it lives: the same process id after a restart of the machine is another process.
 * `none` is not `stale`: where no lock is, one may be made at any moment, and nobody may remove that.
 */
async function holderOf(file: string): Promise<number | 'stale' | 'none'> {
  const text =
    (await readlink(file).then(
      (target) => `${target}\n`,
      () => undefined,
    )) ??
    (await readFile(file, 'utf8').catch((cause: unknown) => {
      if (isCode(cause, 'ENOENT')) return undefined;
      throw new AgentError('broken-folder', `${file}: it cannot be read`, { cause });
    }));
  if (text === undefined) return 'none';
  const [, pid = '', start] = /^(\d+) (.*)\n$/.exec(text) ?? [];
  if (start === undefined || !isAlive(Number(pid))) return 'stale';
  return (await startOf(Number(pid))) === start ? Number(pid) : 'stale';
}

/** When a process started, as Linux counts it: boot and ticks since. Empty on other systems. */
async function startOf(pid: number): Promise<string> {
  try {
    const [boot, stat] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // Behind the name, which may hold anything, field 22 of proc(5) is the twentieth, and the first is the state.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // killed, and nobody there to bury it, as in a container without an init
    if (fields[0] === 'Z') return 'dead';
    return `${boot.trim()} ${fields[19]}`;
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
