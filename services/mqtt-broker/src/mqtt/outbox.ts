import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { QueueLimits, SessionStore, StoredMessage } from '../domain/session/session-store.ts';
import type { Owner } from '../domain/topic/topic-rules.ts';
import { leftBehind, PacketIds, publishPacket } from './outgoing.ts';

/** Messages that are read from the queue at a time. */
const PAGE = 64;
/** Messages whose acknowledgement is written at a time. */
const REMOVED_AT_ONCE = 500;
const RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

/** The connection, as far as what leaves over it is concerned. */
export type OutboxPeer = {
  readonly key: string;
  readonly owner: Owner;
  readonly socket: TLSSocket;
  readonly isEnded: boolean;
  /** The highest QoS that was granted for a topic; undefined where the device has not subscribed to it. */
  granted(topic: string): number | undefined;
  /** Whether the device may have a message of this topic, now. */
  mayReceive(topic: string): boolean;
  end(reason: DisconnectReason): void;
};

export type OutboxParts = {
  readonly log: Logger;
  readonly store: SessionStore;
  readonly limits: {
    /** What waits for one device, connected or not. */
    readonly waiting: QueueLimits;
    /** Bytes that a device has not read from its connection. */
    readonly unsentBytes: number;
  };
  readonly sent: (account: string) => void;
  /** So many messages are lost. */
  readonly lost: (account: string, count: number) => void;
  /** What was left in the queue of a session that another node has. */
  readonly leftFor: (node: string, key: string) => void;
};

/** Of the session that outlives the connection. */
export type Durable = { readonly epoch: string; readonly sentUpTo: number };

/** Of what an account shares with its devices: QoS 0, and retained where it was there before the subscription. */
export type Shared = { readonly qos: 0; readonly retain?: true };

export type Outgoing = {
  readonly message: StoredMessage;
  /** Its place in the session's queue; undefined where it is in memory only. */
  readonly seq: number | undefined;
  packetId: number;
  readonly isDup: boolean;
};

/**
 * All that leaves for one device over one connection, in one order: first what waited in the session's queue, then what
 * came meanwhile, then what comes. A message of the queue is taken out when the device acknowledges it. A plain message
 * for a connected device costs no write: it is in memory until it is acknowledged, and in the queue if the connection
 * ends before that.
 */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #peer: OutboxPeer;
  #ended: AbortController | undefined;
  readonly #inFlight = new Map<number, Outgoing>();
  readonly #ids = new PacketIds((id) => this.#inFlight.has(id));
  #state: 'opening' | 'loading' | 'live' | 'closed' = 'opening';
  #durable: Durable | undefined;
  /** What came before the queue had been sent. */
  #newcomers: { topic: string; payload: Buffer; shared: Shared | undefined }[] = [];
  #unsent: Outgoing[] = [];
  #unsentBytes = 0;
  #bytes = 0;
  #awaitsDrain = false;
  #drained: PromiseWithResolvers<void> | undefined;
  /** The last one of the queue that was read, and the last one that was sent. */
  #readUpTo = 0;
  #sentUpTo = 0;
  /** The last one that is noted as sent. */
  #notedUpTo = 0;
  #isStale = false;
  #refreshing: Promise<void> | undefined;
  #acknowledged: number[] = [];
  #removing: Promise<void> | undefined;

  constructor(parts: OutboxParts, peer: OutboxPeer) {
    this.#parts = parts;
    this.#peer = peer;
  }

  /** Whether it takes messages: false once its connection has ended. */
  get isOpen(): boolean {
    return this.#state !== 'closed';
  }

  /** Whether it has sent what waited. */
  get isLive(): boolean {
    return this.#state === 'live';
  }

  get durable(): Durable | undefined {
    return this.#durable;
  }

  /** Whether so much more may wait. */
  hasRoom(bytes: number): boolean {
    const { messages, bytes: most } = this.#parts.limits.waiting;
    const waiting = this.#inFlight.size + this.#unsent.length + this.#newcomers.length;
    return waiting < messages && this.#bytes + bytes <= most;
  }

  /** The session outlives the connection: from here on what is not acknowledged goes into its queue. */
  keep(durable: Durable): void {
    this.#durable = durable;
    this.#sentUpTo = durable.sentUpTo;
  }

  /** CONNACK went out: sends what waits, then what comes. */
  async open(): Promise<void> {
    if (this.#state !== 'opening') return;
    this.#state = 'loading';
    if (this.#durable !== undefined) {
      this.#isStale = true;
      await this.refresh();
    }
    if (this.#state !== 'loading') return;
    this.#state = 'live';
    const newcomers = this.#newcomers;
    this.#newcomers = [];
    for (const { topic, payload, shared } of newcomers) {
      this.#bytes -= payload.length;
      this.push(topic, payload, shared);
    }
  }

  /** Takes a message that is nowhere else. False: it is lost, for want of room. */
  push(topic: string, payload: Buffer, shared?: Shared): boolean {
    if (this.#state === 'opening' || this.#state === 'loading') {
      if (!this.hasRoom(payload.length)) return shared !== undefined;
      this.#newcomers.push({ topic, payload, shared });
      this.#bytes += payload.length;
      return true;
    }
    const granted = this.#peer.granted(topic);
    if (granted === undefined || this.#state === 'closed') return true;
    const qos = granted === 0 || shared !== undefined ? 0 : 1;
    if (qos > 0 && !this.hasRoom(payload.length)) return false;
    const message = { topic, payload, qos, ...(shared?.retain ? { retain: true } : {}) } as const;
    const { unsentBytes } = this.#parts.limits;
    const isStuck = this.#unsentBytes + this.#peer.socket.writableLength > unsentBytes;
    this.#enqueue({ message, seq: undefined, packetId: 0, isDup: false });
    // what it is owed waits in the queue of its session
    if (isStuck) this.#peer.end('slow-consumer');
    else this.#pump();
    return true;
  }

  /** A message is about to be put into the session's queue as one that has been sent. */
  expect(): void {
    this.#notedUpTo = Number.POSITIVE_INFINITY;
  }

  /** There is more in the session's queue. */
  refresh(): Promise<void> {
    this.#isStale = true;
    if (this.#state === 'opening' || this.#state === 'closed') return Promise.resolve();
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** PUBACK. */
  acknowledge(packetId: number): void {
    const outgoing = this.#inFlight.get(packetId);
    if (outgoing === undefined) return;
    this.#inFlight.delete(packetId);
    this.#bytes -= outgoing.message.payload.length;
    if (outgoing.seq !== undefined) this.#removeSoon(outgoing.seq);
  }

  #removeSoon(seq: number): void {
    this.#acknowledged.push(seq);
    this.#removing ??= this.#remove().finally(() => {
      this.#removing = undefined;
    });
  }

  /** The connection has ended. Resolves when what was not acknowledged is in the session's queue. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#drained?.resolve();
    this.#ended?.abort();
    const durable = this.#durable;
    if (durable === undefined) {
      this.#clear();
      return;
    }
    await this.#refreshing;
    await this.#removing;
    await this.#remove();
    try {
      await this.#leave(durable);
    } catch (err) {
      const count = this.#newcomers.length + [...this.#left()].filter(({ seq }) => seq === undefined).length;
      this.#parts.log.warn(
        { err, ...this.#peer.owner, count },
        'mqtt: failed to queue messages that a device had not acknowledged',
      );
      if (count > 0) this.#parts.lost(this.#peer.owner.account, count);
    }
    this.#clear();
  }

  async #load(): Promise<void> {
    for (let attempt = 0; this.#isStale && this.isOpen; ) {
      this.#isStale = false;
      try {
        while (await this.#loadPage());
        attempt = 0;
      } catch (err) {
        this.#isStale = true;
        const { log } = this.#parts;
        if (attempt % 10 === 0)
          log.warn({ err, ...this.#peer.owner }, 'mqtt: failed to read queued messages');
        const wait = Math.min(RETRY_MS * 2 ** attempt++, LONGEST_RETRY_MS);
        this.#ended ??= new AbortController();
        await sleep(wait, undefined, { signal: this.#ended.signal }).catch(() => {});
      }
    }
  }

  /** False: there is no more. */
  async #loadPage(): Promise<boolean> {
    if (this.#durable === undefined) return false;
    const { epoch, sentUpTo } = this.#durable;
    const after = this.#readUpTo;
    const { messages, upTo } = await this.#parts.store.take(this.#peer.key, epoch, after, PAGE);
    this.#notedUpTo = messages.at(-1)?.seq ?? this.#notedUpTo;
    if (!this.isOpen) return false;
    this.#readUpTo = Math.max(this.#readUpTo, upTo);
    for (const { seq, ...message } of messages)
      this.#enqueue({ message, seq, packetId: message.packetId ?? 0, isDup: seq <= sentUpTo });
    this.#pump();
    await this.#sent();
    // of a page that has expired nothing is left, but there may be more behind it
    return (messages.length > 0 || upTo > after) && this.isOpen;
  }

  #enqueue(outgoing: Outgoing): void {
    this.#unsent.push(outgoing);
    if (outgoing.message.qos > 0) this.#bytes += outgoing.message.payload.length;
    if (outgoing.seq === undefined) this.#unsentBytes += outgoing.message.payload.length;
  }

  /** Writes as long as the device reads. */
  #pump(): void {
    const { socket } = this.#peer;
    if (this.#unsent.length === 0 || this.#awaitsDrain) return;
    socket.cork();
    let count = 0;
    while (count < this.#unsent.length && this.isOpen && !this.#peer.isEnded && !socket.writableNeedDrain) {
      const outgoing = this.#unsent[count++];
      if (outgoing !== undefined) this.#write(outgoing);
    }
    this.#unsent = count === this.#unsent.length ? [] : this.#unsent.slice(count);
    queueMicrotask(() => socket.uncork());
    if (this.#unsent.length === 0) this.#drained?.resolve();
    else if (socket.writableNeedDrain) {
      this.#awaitsDrain = true;
      socket.once('drain', () => {
        this.#awaitsDrain = false;
        this.#pump();
      });
    }
  }

  #write(outgoing: Outgoing): void {
    const { message, seq } = outgoing;
    const { payload, topic, qos } = message;
    if (seq === undefined) this.#unsentBytes -= payload.length;
    if (!this.#peer.mayReceive(topic)) {
      if (qos > 0) this.#bytes -= payload.length;
      if (seq !== undefined) this.#removeSoon(seq);
      return;
    }
    if (qos > 0) {
      outgoing.packetId = this.#ids.next({ packetId: outgoing.packetId || undefined, seq });
      this.#inFlight.set(outgoing.packetId, outgoing);
      if (seq !== undefined && seq > this.#sentUpTo) this.#sentUpTo = seq;
    }
    this.#peer.socket.write(publishPacket(message, outgoing.packetId, outgoing.isDup));
    this.#parts.sent(this.#peer.owner.account);
  }

  /** Resolves when all that is to be sent has been handed to the connection. */
  #sent(): Promise<void> {
    if (this.#unsent.length === 0 || !this.isOpen) return Promise.resolve();
    this.#drained = Promise.withResolvers();
    return this.#drained.promise;
  }

  async #remove(): Promise<void> {
    while (this.#acknowledged.length > 0) {
      const seqs = this.#acknowledged.splice(0, REMOVED_AT_ONCE);
      try {
        await this.#parts.store.remove(this.#peer.key, seqs);
      } catch (err) {
        // with the next acknowledgement; else the device gets them once more, with DUP
        this.#acknowledged.unshift(...seqs);
        this.#parts.log.warn({ err, ...this.#peer.owner }, 'mqtt: failed to store an acknowledgement');
        return;
      }
    }
  }

  *#left(): Iterable<Outgoing> {
    yield* this.#inFlight.values();
    for (const outgoing of this.#unsent) if (outgoing.message.qos > 0) yield outgoing;
  }

  /** What was sent comes before what was not; what came before the queue had been read comes after that. */
  async #leave({ epoch }: Durable): Promise<void> {
    const { store, limits, lost, leftFor } = this.#parts;
    const { key, owner } = this.#peer;
    const all = [...this.#left()];
    this.#nameUnsent(all);
    const left = leftBehind(all, this.#inFlight.size, this.#readUpTo, this.#sentUpTo);
    let node: string | undefined;
    if (left.messages.length > 0 || this.#notedUpTo > this.#sentUpTo)
      node = (await store.leave(key, epoch, left)).node;
    for (const { topic, payload, shared } of this.#newcomers.splice(0)) {
      if (shared !== undefined || (this.#peer.granted(topic) ?? 0) === 0) continue;
      const message = { topic, payload, qos: 1 } as const;
      const appended = await store.append(key, epoch, message, { limits: limits.waiting });
      if ('node' in appended) node = appended.node;
      else if (appended.outcome === 'full') lost(owner.account, 1);
    }
    if (node !== undefined) leftFor(node, key);
  }

  /** However often they will be sent, it is under one identifier (MQTT-4.4.0-1): that of these is stored with them. */
  #nameUnsent(all: readonly Outgoing[]): void {
    const taken = new Set(all.map(({ packetId }) => packetId));
    const ids = new PacketIds((id) => taken.has(id));
    for (const outgoing of all) {
      if (outgoing.seq !== undefined || outgoing.packetId !== 0) continue;
      outgoing.packetId = ids.next({});
      taken.add(outgoing.packetId);
    }
  }

  #clear(): void {
    this.#inFlight.clear();
    this.#unsent = [];
    this.#newcomers = [];
    this.#acknowledged = [];
  }
}
