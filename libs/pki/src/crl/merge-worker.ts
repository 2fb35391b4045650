import { parentPort, workerData } from 'node:worker_threads';
import { EntryMerger, type Merge } from './merge-entries.ts';
import type { MergeMessage } from './merge-thread.ts';

const merger = new EntryMerger(workerData as Merge);
parentPort?.on('message', (message: MergeMessage) => {
  if (message.do === 'add') merger.add(message.segment);
  else {
    const tbs = merger.finish(message.before, message.after);
    parentPort?.postMessage(tbs, [tbs.tbs.buffer as ArrayBuffer]);
  }
});
