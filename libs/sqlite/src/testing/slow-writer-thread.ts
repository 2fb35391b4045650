import { workerData } from 'node:worker_threads';
import type { WireGroup, WireOutcome } from '../wire.ts';
import { serveGroups, Writer, type WriterSetup } from '../writer.ts';

/** What the writer of a slow disk is started with. */
export type SlowSetup = WriterSetup & { readonly commitMs: number };

class SlowWriter extends Writer {
  readonly #commitMs: number;

  constructor(setup: SlowSetup) {
    super(setup);
    this.#commitMs = setup.commitMs;
  }

  override commit(group: WireGroup): WireOutcome[] {
    const outcomes = super.commit(group);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, this.#commitMs);
    return outcomes;
  }
}

serveGroups(new SlowWriter(workerData as SlowSetup));
