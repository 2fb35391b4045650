import type { Log } from '../log.ts';
import type { LogWriter } from './log-writer.ts';
import type { PartitionState } from './partition-state.ts';

/** How long a position may wait to be stored, ms. */
const LATEST_MS = 250;

/**
 * Stores how far lanes have come: of all lanes together, once in a while. What was settled since then comes again after
 * a crash, as events come at least once anyhow; a commit for each of them would cost as much as what it is about.
 */
export class CursorCommitter {
  readonly #writer: LogWriter;
  readonly #log: Log;
  #positions = new Map<PartitionState, number>();
  #writing: Promise<void> | undefined;
  #urgent = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(writer: LogWriter, log: Log) {
    this.#writer = writer;
    this.#log = log;
  }

  /** All events of this lane up to `position` are settled or noted. */
  note(lane: PartitionState, position: number): void {
    this.#positions.set(lane, position);
    this.#timer ??= setTimeout(() => void this.flush(), LATEST_MS).unref();
  }

  /** Stores what is noted. Never rejects: what could not be stored is stored with what is noted next. */
  flush(): Promise<void> {
    this.#urgent = true;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#urgent) {
      this.#urgent = false;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const noted = this.#positions;
      this.#positions = new Map();
      if (noted.size === 0) return;
      try {
        await this.#writer.write([...noted].map(([lane, position]) => lane.reached(position)));
      } catch (err) {
        this.#positions = new Map([...noted, ...this.#positions]);
        this.#log.warn({ err }, 'how far consumers have come could not be stored');
      }
    }
  }
}
