import type { LeftBehind, QueuedMessage, StoredMessage } from '../domain/session/session-store.ts';
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

/** Packet identifiers of messages that are in the session's queue come from their number in it: they stay the same. */
const QUEUED = 32_767;
const MOST = 65_535;

/** Gives packet identifiers (3.1.1 §2.3.1) to what leaves for one device. */
export class PacketIds {
  readonly #isTaken: (id: number) => boolean;
  #last = QUEUED;

  constructor(isTaken: (id: number) => boolean) {
    this.#isTaken = isTaken;
  }

  /** `known`: under which the message was sent before; `seq`: its number in the session's queue. */
  next({
    packetId: known,
    seq,
  }: {
    readonly packetId?: number | undefined;
    readonly seq?: number | undefined;
  }): number {
    const wanted = known ?? (seq === undefined || !Number.isInteger(seq) ? undefined : (seq % QUEUED) + 1);
    if (wanted !== undefined && !this.#isTaken(wanted)) return wanted;
    do {
      this.#last = this.#last >= MOST ? QUEUED + 1 : this.#last + 1;
    } while (this.#isTaken(this.#last));
    return this.#last;
  }
}

const PUBLISH = 0x30;
const DUP = 0x08;
const RETAIN = 0x01;

/** A PUBLISH packet of MQTT 3.1.1 (§3.3). `packetId` counts where the QoS is above 0. */
export function publishPacket(message: StoredMessage, packetId: number, isDup: boolean): Buffer {
  const { qos, retain = false, payload } = message;
  const topic = Buffer.from(message.topic);
  const length = 2 + topic.length + (qos > 0 ? 2 : 0) + payload.length;
  const packet = Buffer.allocUnsafe(1 + lengthBytes(length) + length);
  packet[0] = PUBLISH | (isDup ? DUP : 0) | (qos << 1) | (retain ? RETAIN : 0);
  let at = 1;
  for (let rest = length; ; ) {
    const byte = rest & 0x7f;
    rest >>>= 7;
    packet[at++] = rest > 0 ? byte | 0x80 : byte;
    if (rest === 0) break;
  }
  at = packet.writeUInt16BE(topic.length, at);
  at += topic.copy(packet, at);
  if (qos > 0) at = packet.writeUInt16BE(packetId, at);
  payload.copy(packet, at);
  return packet;
}

/** Bytes of the remaining length (§2.2.3). */
function lengthBytes(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  return length < 0x200000 ? 3 : 4;
}
