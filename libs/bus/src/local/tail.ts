import type { EventType, SignetEvent } from '@signet/contracts';
import type { Appended, SqliteDatabase } from '@signet/sqlite';
import type { Subscription, TailFrom } from '../bus.ts';
import { decodeEvent } from '../event-codec.ts';
import type { Log } from '../log.ts';
import { underTrace } from '../trace-context.ts';

type TailOptions = {
  readonly types: readonly EventType[];
  readonly from: TailFrom;
  readonly account?: string;
};
type Row = { readonly position: number; readonly event: string };

const CHUNK = 256;

/** How often a tail lets the log grow by what is not for it, before it passes over that. */
const PASSED_OVER = 256;

/** Follows the log. A position is that of the log. */
export class Tail implements Subscription {
  readonly #database: SqliteDatabase;
  readonly #options: TailOptions;
  readonly #handler: (event: SignetEvent, position: number) => void | Promise<void>;
  readonly #log: Log;
  readonly #types: ReadonlySet<string>;
  #position: number;
  #running: Promise<void> | undefined;
  #stale = false;
  #passedOver = 0;
  #stopped = false;

  constructor(
    database: SqliteDatabase,
    options: TailOptions,
    handler: (event: SignetEvent, position: number) => void | Promise<void>,
    log: Log,
  ) {
    this.#database = database;
    this.#options = options;
    this.#handler = handler;
    this.#log = log;
    this.#types = new Set(options.types);
    const { from } = options;
    this.#position = from === 'new' ? lastPosition(database) : from === 'start' ? 0 : from.after;
  }

  /** Takes what was appended to the log, if there is something for this tail in it. */
  grown({ types }: Appended): void {
    if (this.#types.isDisjointFrom(types) && ++this.#passedOver < PASSED_OVER) return;
    this.#passedOver = 0;
    this.pump();
  }

  /** Looks whether the log has grown. */
  pump(): void {
    this.#stale = true;
    if (this.#stopped || this.#running !== undefined) return;
    this.#running = this.#follow()
      .catch((err) => this.#log.error({ err }, 'a tail could not read the log'))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #follow(): Promise<void> {
    while (this.#stale && !this.#stopped) {
      const end = lastPosition(this.#database);
      const rows = end > this.#position ? this.#rows(end) : [];
      this.#stale = rows.length > 0;
      for (const row of rows) {
        if (this.#stopped) return;
        await this.#hand(row);
        this.#position = row.position;
      }
      if (rows.length === 0) this.#position = Math.max(this.#position, end);
    }
  }

  /** The next events that are wanted, up to a position. */
  #rows(end: number): Row[] {
    const { types, account } = this.#options;
    const ofAccount = account === undefined ? '' : 'AND account = ?';
    return this.#database.read<Row>(
      `SELECT position, event FROM event_log WHERE position > ? AND position <= ?
        AND type IN (${types.map(() => '?').join(', ')}) ${ofAccount} ORDER BY position LIMIT ${CHUNK}`,
      [this.#position, end, ...types, ...(account === undefined ? [] : [account])],
    );
  }

  async #hand({ event: text, position }: Row): Promise<void> {
    const { event, ...rest } = decodeEvent(text);
    if (event === undefined) {
      this.#log.error({ position, ...rest }, 'a tail passed over a malformed event');
      return;
    }
    try {
      await underTrace(event.traceparent, () => this.#handler(event, position));
    } catch (err) {
      this.#log.error({ err, event: event.id, position }, 'the handler of a tail failed; the tail goes on');
    }
  }
}

/** The position of the latest event that was ever stored. */
export function lastPosition(database: SqliteDatabase): number {
  const [row] = database.read<{ seq: number }>(`SELECT seq FROM sqlite_sequence WHERE name = 'event_log'`);
  return row?.seq ?? 0;
}
