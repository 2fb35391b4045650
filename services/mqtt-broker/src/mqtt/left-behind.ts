import type { QueuedMessage } from '../domain/session-record.ts';
import type { LeftBehind } from '../domain/session-store.ts';
import type { Outgoing } from './outbox.ts';

/**
 * Gives the messages that are in memory alone their places between those of the queue. `all` is in the order of sending;
 * the first `sent` of them were sent. A place is never a whole number: those are of messages that are queued one by one.
 */
export function leftBehind(
  all: readonly Outgoing[],
  sent: number,
  readUpTo: number,
  sentUpTo: number,
): LeftBehind {
  const messages: QueuedMessage[] = [];
  let last = 0;
  let lastSent = sentUpTo;
  for (let i = 0; i < all.length; ) {
    const outgoing = all[i];
    if (outgoing?.seq !== undefined) {
      last = outgoing.seq;
      if (i < sent) lastSent = Math.max(lastSent, last);
      i++;
      continue;
    }
    let end = i;
    while (end < all.length && all[end]?.seq === undefined) end++;
    const after = all[end]?.seq;
    const from = after === undefined ? Math.max(last, readUpTo) : Math.max(last, Math.ceil(after) - 1);
    const to = after ?? Math.floor(from) + 1;
    for (let n = i; n < end; n++) {
      const { message, packetId } = all[n] ?? {};
      if (message === undefined) continue;
      last = from + ((to - from) * (n - i + 1)) / (end - i + 1);
      messages.push({ ...message, ...(packetId ? { packetId } : {}), seq: last });
      if (n < sent) lastSent = Math.max(lastSent, last);
    }
    i = end;
  }
  return { messages, sentUpTo: lastSent, next: Math.floor(Math.max(last, readUpTo)) + 2 };
}
