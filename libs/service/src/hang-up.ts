import process from 'node:process';

/** Sends SIGHUP: a server that is not ours reads its files again. @throws Error where there is no such process */
export function hangUp(pid: number): void {
  process.kill(pid, 'SIGHUP');
}
