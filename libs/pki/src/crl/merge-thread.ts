import { Worker } from 'node:worker_threads';
import type { Merge, Tbs } from './merge-entries.ts';
import type { CrlSegment } from './segment.ts';

/** What the thread is told; it answers the last with a {@link Tbs}. */
export type MergeMessage =
  | { readonly do: 'add'; readonly segment: CrlSegment }
  | { readonly do: 'finish'; readonly before: Uint8Array; readonly after: Uint8Array };

/** A list that is merged in a thread of its own, so that no number of entries blocks the event loop. */
export async function mergeInThread(
  merge: Merge,
  segments: AsyncIterable<CrlSegment>,
  parts: { readonly before: Uint8Array; readonly after: Uint8Array },
): Promise<Tbs> {
  const thread = new Worker(new URL('./merge-worker.ts', import.meta.url), { workerData: merge });
  const merged = new Promise<Tbs>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the thread that merges CRLs ended with ${code}`)));
  });
  // Reported below; until then an early failure must not count as unhandled.
  merged.catch(() => undefined);
  const tell = (message: MergeMessage) => thread.postMessage(message);
  try {
    for await (const { der, ends } of segments) tell({ do: 'add', segment: { der, ends } });
    tell({ do: 'finish', ...parts });
    return await merged;
  } finally {
    await thread.terminate();
  }
}
