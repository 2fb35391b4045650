import type { DenyState } from '../domain/deny-state.ts';
import type { ChangeRecord, Collections } from '../domain/records.ts';
import { projectChange } from './projection.ts';

/** Writes changes into the entries, one after the other, while the next are made: a kick does not wait for it. */
export class Projector {
  readonly #entries: Collections['entries'];
  readonly #waiting: ChangeRecord[] = [];
  /** What the waiting changes leave, by key. */
  readonly #states = new Map<string, { readonly state: DenyState; readonly number: number }>();
  #running: Promise<void> | undefined;

  constructor(entries: Collections['entries']) {
    this.#entries = entries;
  }

  /** Changes that the entries do not have yet. */
  get backlog(): number {
    return this.#waiting.length;
  }

  add(record: ChangeRecord): void {
    this.#waiting.push(record);
    for (const state of record.states) this.#states.set(state.key, { state, number: record.number });
  }

  /** The state that a waiting change leaves; undefined where none is about this key: the entries have it. */
  pending(key: string): DenyState | undefined {
    return this.#states.get(key)?.state;
  }

  /** Resolves once nothing waits. What fails is tried again by the next call. */
  settled(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const [record] = this.#waiting;
      if (record === undefined) return;
      await projectChange(this.#entries, record);
      this.#waiting.shift();
      for (const { key } of record.states)
        if (this.#states.get(key)?.number === record.number) this.#states.delete(key);
    }
  }
}
