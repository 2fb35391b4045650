import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readIfThere, replaceFile } from '@signet/files';
import { AuditEntry } from '../domain/audit/audit-log.ts';

/** Longer than this the file does not become, bytes; some 200,000 calls. */
const LARGEST = 64 * 1024 * 1024;
const AT_ONCE = 200;

/**
 * Keeps audit entries through an outage of the store: what cannot be written waits in a file of this process, one JSON
 * object a line, on the disk before the call is answered, and is written once the store answers again, also after a
 * restart. An entry that was written twice is one: its id says so.
 */
export class AuditSpool {
  readonly #file: string;
  readonly #put: (entry: AuditEntry) => Promise<void>;
  #turn: Promise<unknown> = Promise.resolve();

  /** `put` writes an entry, or its outcome into the one that is there; again does no harm. */
  constructor(file: string, put: (entry: AuditEntry) => Promise<void>) {
    this.#file = file;
    this.#put = put;
  }

  /** @throws where neither the store nor the disk takes it */
  async write(entry: AuditEntry): Promise<void> {
    try {
      await this.#put(entry);
    } catch {
      await this.#inTurn(() => this.#append(entry));
    }
  }

  /** Writes what waits. @throws what the store fails with; the rest waits on */
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      const text = await readIfThere(this.#file);
      if (text === undefined) return;
      const waiting = latest(text.split('\n').flatMap(entryIn));
      while (waiting.length > 0) {
        const some = waiting.slice(0, AT_ONCE);
        const outcomes = await Promise.allSettled(some.map((entry) => this.#put(entry)));
        const failed = outcomes.find((outcome) => outcome.status === 'rejected');
        if (failed !== undefined) {
          await replaceFile(this.#file, waiting.map(lineOf).join(''));
          throw failed.reason;
        }
        waiting.splice(0, some.length);
      }
      await rm(this.#file, { force: true });
    });
  }

  async #append(entry: AuditEntry): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
    const file = await open(this.#file, 'a', 0o600);
    try {
      if ((await file.stat()).size > LARGEST) throw new Error(`${this.#file}: full`);
      // on a line of its own, whatever a crash left before it
      await file.appendFile(`\n${lineOf(entry)}`);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(step);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}

/** One of each call: what was answered, where the intent waits too. */
function latest(entries: readonly AuditEntry[]): AuditEntry[] {
  const calls = new Map<string, AuditEntry>();
  for (const entry of entries)
    if (entry.status !== undefined || !calls.has(entry.id)) calls.set(entry.id, entry);
  return [...calls.values()];
}

function lineOf(entry: AuditEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** None in a line that a crash cut off. */
function entryIn(line: string): AuditEntry[] {
  try {
    return [AuditEntry.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}
