import { closeSync, openSync, writeSync } from 'node:fs';

/** A full pipe is waited for so long, ms: its reader may only be slow. */
const PIPE_WAIT_MS = 200;
const PIPE_STEP_MS = 5;
/** While lines are lost, so often it is tried to say so. */
const RETRY_MS = 1000;

/**
 * Where the log goes: a file, or a descriptor that is open already. What cannot be written (full disk, I/O error, a
 * reader that is gone) is dropped and counted; as soon as it can be written again, a line says how many were lost. It never throws: a log that fails must not end what it is the log of.
 */
export class LineWriter {
  readonly #target: string | number;
  readonly #now: () => number;
  #fd: number | undefined;
  #dropped = 0;
  #lost = 0;
  #reason: string | undefined;
  #isMidLine = false;
  #retrying: NodeJS.Timeout | undefined;

  constructor(target: string | number, now: () => number = Date.now) {
    this.#target = target;
    this.#now = now;
  }

  /** Lines that were dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Why lines are being dropped now. */
  failure(): string | undefined {
    return this.#reason;
  }

  /** One line, with its end. */
  write(line: string): void {
    if (this.#try(line)) return;
    this.#lost++;
    this.#dropped++;
    this.#retrying ??= setInterval(() => this.#try(''), RETRY_MS).unref();
  }

  #try(line: string): boolean {
    const report = this.#lost === 0 ? '' : this.#report();
    try {
      this.#put(`${this.#isMidLine ? '\n' : ''}${report}${line}`);
      this.#lost = 0;
      this.#reason = undefined;
      clearInterval(this.#retrying);
      this.#retrying = undefined;
      return true;
    } catch (error) {
      this.#reason = error instanceof Error ? error.message : String(error);
      this.#reopen();
      return false;
    }
  }

  #put(text: string): void {
    this.#fd ??= typeof this.#target === 'number' ? this.#target : openSync(this.#target, 'a', 0o600);
    const bytes = Buffer.from(text);
    let waited = 0;
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.#fd, bytes, at);
        this.#isMidLine = at < bytes.length;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
        if (waited >= PIPE_WAIT_MS) throw error;
        waited += PIPE_STEP_MS;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_STEP_MS);
      }
    }
  }

  #report(): string {
    const facts = { level: 'warn', time: new Date(this.#now()).toISOString(), dropped: this.#lost };
    return `${JSON.stringify({ ...facts, reason: this.#reason, msg: 'log: lines could not be written and are lost' })}\n`;
  }

  /** A file of a disk that failed is opened anew; a descriptor that was given is not ours to close. */
  #reopen(): void {
    if (typeof this.#target === 'number' || this.#fd === undefined) return;
    try {
      closeSync(this.#fd);
    } catch {
      // it is gone either way
    }
    this.#fd = undefined;
  }
}
