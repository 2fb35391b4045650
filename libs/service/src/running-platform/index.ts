import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** What a platform that runs says of itself in its data folder, for commands on the same machine. Nothing secret. */
const RunningPlatform = z.object({
  version: z.literal(1),
  pid: z.int(),
  /** When the process began, as the kernel counts; a process id alone is given again. */
  began: z.string().optional(),
  /** The operators' API. */
  api: z.url(),
  bootstrap: z.url(),
  est: z.url(),
  mqtt: z.url(),
  gateway: z.url(),
  /** PEM of the roots that its servers are trusted by. */
  trustAnchors: z.array(z.string()),
});
export type RunningPlatform = z.output<typeof RunningPlatform>;
export type PlatformAddresses = Omit<RunningPlatform, 'version' | 'pid' | 'began'>;

const fileIn = (dataDir: string): string => join(dataDir, 'platform.json');

export interface PlatformNotice extends Disposable {
  /** Writes it anew, as after a change of the roots. */
  write(addresses: PlatformAddresses): void;
}

/** Says in the data folder where this process is reached, until it is disposed. */
export function announcePlatform(dataDir: string, addresses: PlatformAddresses): PlatformNotice {
  const file = fileIn(dataDir);
  const write = (now: PlatformAddresses) => {
    const notice: RunningPlatform = { version: 1, pid: process.pid, began: beginOf(process.pid), ...now };
    writeFileSync(`${file}.new`, `${JSON.stringify(notice, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  write(addresses);
  return { write, [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/** The platform that runs on this data folder; undefined where none does, also where a kill left its notice behind. */
export function findRunningPlatform(dataDir: string): RunningPlatform | undefined {
  let notice: RunningPlatform;
  try {
    notice = RunningPlatform.parse(JSON.parse(readFileSync(fileIn(dataDir), 'utf8')));
  } catch {
    // none, not ours to read, or of another release: then it is not found, and can be named
    return undefined;
  }
  return isAlive(notice.pid) && beginOf(notice.pid) === notice.began ? notice : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Field 22 of /proc/<pid>/stat (proc(5)), behind the name, which may have spaces and brackets; none where there is no /proc. */
function beginOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .at(19);
  } catch {
    return undefined;
  }
}
