import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AgentError } from './agent-error.ts';
import type { DeviceFolder } from './device-folder.ts';

const servers = ['mqtt', 'gateway', 'est', 'bootstrap'] as const;
export type Server = (typeof servers)[number];

const Seen = z.object({
  /** When each was last heard of, ISO 8601. */
  contacts: z.partialRecord(z.enum(servers), z.string()).default({}),
  /** The newest first, each reason once. */
  refusals: z.array(z.object({ at: z.string(), reason: z.string() })).default([]),
  /** The newest version of the config that the platform has told of. */
  config: z.string().optional(),
  renewal: z.object({ at: z.string(), by: z.enum(['server', 'own']) }).optional(),
});
export type Seen = z.infer<typeof Seen>;

const MOST_REFUSALS = 5;
const LONGEST_REASON = 300;
const EVERY_MS = 5000;

/**
 * What the agent met last (`seen.json`), for `signet-agent status`. Written every few seconds at most, and without
 * fsync: a cut of the power may take it back, and nothing depends on it.
 */
export class LastSeen implements AsyncDisposable {
  readonly #path: string;
  readonly #now: () => number;
  readonly #everyMs: number;
  #seen: Seen;
  #timer: NodeJS.Timeout | undefined;
  #writing = Promise.resolve();

  private constructor(path: string, seen: Seen, { now, everyMs }: { now: () => number; everyMs: number }) {
    this.#path = path;
    this.#seen = seen;
    this.#now = now;
    this.#everyMs = everyMs;
  }

  static async open(
    folder: DeviceFolder,
    { now, everyMs = EVERY_MS }: { readonly now: () => number; readonly everyMs?: number },
  ): Promise<LastSeen> {
    return new LastSeen(pathOf(folder), await readSeen(folder), { now, everyMs });
  }

  /** A server has answered. */
  contact(server: Server): void {
    this.#change({ contacts: { ...this.#seen.contacts, [server]: this.#time() } });
  }

  /** What failed; only what refuses the device is kept. */
  failed(error: unknown): void {
    if (error instanceof AgentError && error.code === 'refused') this.refused(error.message);
  }

  refused(text: string): void {
    const reason = text.slice(0, LONGEST_REASON);
    const others = this.#seen.refusals.filter((each) => each.reason !== reason);
    this.#change({ refusals: [{ at: this.#time(), reason }, ...others].slice(0, MOST_REFUSALS) });
  }

  /** The platform's notice on `down/config`: `{"version":3}`. */
  noticed(notice: Buffer): void {
    const version = versionIn(notice);
    if (version !== undefined) this.#change({ config: version });
  }

  planned(at: number, by: 'server' | 'own'): void {
    this.#change({ renewal: { at: new Date(at).toISOString(), by } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== undefined) this.#write();
    await this.#writing;
  }

  #change(news: Partial<Seen>): void {
    this.#seen = { ...this.#seen, ...news };
    this.#timer ??= setTimeout(() => this.#write(), this.#everyMs).unref();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = `${JSON.stringify(this.#seen)}\n`;
    const news = `${this.#path}.new`;
    this.#writing = this.#writing
      .then(() => writeFile(news, text, { mode: 0o600 }))
      .then(() => rename(news, this.#path))
      // a disk that takes nothing is told of where it matters
      .catch(() => {});
  }

  #time(): string {
    return new Date(this.#now()).toISOString();
  }
}

/** What was written last; nothing where that cannot be read. */
export async function readSeen(folder: DeviceFolder): Promise<Seen> {
  const text = await readFile(pathOf(folder), 'utf8').catch(() => '');
  return Seen.safeParse(parsed(text)).data ?? Seen.parse({});
}

const Notice = z.object({ version: z.union([z.number(), z.string().max(64)]) });

function versionIn(notice: Buffer): string | undefined {
  const version = Notice.safeParse(parsed(notice.toString('utf8'))).data?.version;
  return version === undefined ? undefined : String(version);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function pathOf(folder: DeviceFolder): string {
  return join(folder.path, 'seen.json');
}
