import { isUtf8 } from 'node:buffer';
import { BusError } from '@signet/bus';
import { mqttSubject } from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { Client } from 'aedes';
import { type Owner, publishLevels } from '../domain/topic/topic-rules.ts';
import type { PacketIdsInUse } from './packet-rules.ts';
import type { ClientRefusals } from './refusals.ts';
import type { Session } from './session.ts';

/** What one device may have on its way to the bus; with more, no more is read from it. */
const MAX_UNSTORED_BYTES = 65_536;
const MAX_UNSTORED = 1000;

const DUP = 0x08;
const PUBACK = 0x40;

export type UplinkParts = {
  readonly log: Logger;
  readonly refusals: ClientRefusals;
  readonly inFlight: InFlight;
  /** Hands a message on; where it is to be stored, resolves once it is, and rejects if that takes too long. */
  readonly up: (subject: string, payload: Uint8Array, stored: boolean) => Promise<void>;
  readonly counted: (account: string, count: number) => void;
};

/** Messages that the bus stores together. */
type Unstored = { readonly stored: Promise<void>; readonly ids: number[]; bytes: number; isStored: boolean };

/**
 * What a device publishes with QoS 0 and 1, from its packets straight to the bus: no message of these is seen by aedes.
 * PUBACKs go out when the bus has stored their messages, in the order of these, those that were stored together in one
 * piece.
 */
export class Uplink {
  readonly #parts: UplinkParts;
  readonly #session: Session;
  readonly #client: Client;
  readonly #ids: PacketIdsInUse;
  readonly #onRoom: () => void;
  readonly #topics: OwnTopics;
  readonly #unstored: Unstored[] = [];
  #count = 0;
  #bytes = 0;
  #plain = 0;
  #last: Promise<void> | undefined;

  /** `onRoom` is called when it has become able to take more. */
  constructor(
    parts: UplinkParts,
    session: Session,
    client: Client,
    { ids, onRoom }: { readonly ids: PacketIdsInUse; readonly onRoom: () => void },
  ) {
    this.#parts = parts;
    this.#session = session;
    this.#client = client;
    this.#ids = ids;
    this.#onRoom = onRoom;
    this.#topics = new OwnTopics(session.owner);
  }

  get isFull(): boolean {
    return this.#bytes > MAX_UNSTORED_BYTES || this.#count > MAX_UNSTORED;
  }

  /** Takes a PUBLISH packet. False: it is not QoS 0 or 1, or malformed, or not allowed; nothing has happened. */
  take(bytes: Buffer, start: number, body: number, end: number): boolean {
    const flags = bytes[start] ?? 0;
    const qos = (flags >> 1) & 3;
    if (qos > 1 || (qos === 0 && (flags & DUP) !== 0) || body + 2 > end) return false;
    const topicEnd = body + 2 + numberAt(bytes, body);
    const payloadAt = topicEnd + 2 * qos;
    if (payloadAt > end) return false;
    const subject = this.#topics.subjectOf(bytes, body + 2, topicEnd);
    if (subject === undefined) return false;
    const payload = bytes.subarray(payloadAt, end);
    if (qos === 0) {
      this.#plain++;
      this.#send(subject, payload);
      return true;
    }
    const id = numberAt(bytes, topicEnd);
    if (id === 0 || ((flags & DUP) === 0 && this.#ids.has(id))) return false;
    this.#ids.hold(id);
    this.#store(subject, payload, id);
    return true;
  }

  /** Counts what was taken with QoS 0 since this was called last. */
  countPlain(): void {
    if (this.#plain > 0) this.#parts.counted(this.#session.owner.account, this.#plain);
    this.#plain = 0;
  }

  /** QoS 0 may be lost. */
  #send(subject: string, payload: Uint8Array): void {
    const sent = this.#parts.up(subject, payload, false);
    if (sent === this.#last) return;
    this.#last = sent;
    sent.catch((error: unknown) => {
      if (isTooLarge(error)) this.#refuse(error);
    });
  }

  #store(subject: string, payload: Uint8Array, id: number): void {
    const stored = this.#parts.up(subject, payload, true);
    this.#count++;
    this.#bytes += payload.length;
    const last = this.#unstored.at(-1);
    if (last?.stored === stored) {
      last.ids.push(id);
      last.bytes += payload.length;
      return;
    }
    const unstored = { stored, ids: [id], bytes: payload.length, isStored: false };
    this.#unstored.push(unstored);
    this.#parts.inFlight.add(stored);
    stored.then(
      () => {
        unstored.isStored = true;
        this.#acknowledge();
      },
      (error: Error) => this.#fail(error),
    );
  }

  /** A message whose predecessor is not stored is not acknowledged either. */
  #acknowledge(): void {
    const before = this.#count;
    const ids: number[] = [];
    for (let first = this.#unstored[0]; first?.isStored === true; first = this.#unstored[0]) {
      this.#unstored.shift();
      this.#bytes -= first.bytes;
      for (const id of first.ids) this.#ids.acknowledged(id);
      ids.push(...first.ids);
    }
    if (ids.length === 0) return;
    this.#count = before - ids.length;
    this.#parts.counted(this.#session.owner.account, ids.length);
    if (this.#client.closed) return;
    this.#session.socket.write(pubacks(ids));
    this.#onRoom();
  }

  #refuse(error: BusError): void {
    if (this.#client.closed) return;
    this.#session.endedBy ??= 'protocol';
    const { refusals } = this.#parts;
    this.#client.emit(
      'error',
      refusals.refuse(this.#client, 'packet-too-large', `publish: ${error.message}`),
    );
  }

  #fail(error: Error): void {
    const { log, refusals } = this.#parts;
    this.#unstored.length = 0;
    if (this.#client.closed) return;
    if (isTooLarge(error)) {
      this.#refuse(error);
      return;
    }
    log.warn(
      { err: error, ...this.#session.owner },
      'mqtt: failed to store a message; its session is closed',
    );
    this.#session.endedBy ??= 'network';
    refusals.markReported(this.#client);
    this.#client.emit('error', error);
  }
}

/** The bus would never take it, however often it is sent. */
export function isTooLarge(error: unknown): error is BusError {
  return error instanceof BusError && error.code === 'too-large';
}

function numberAt(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function pubacks(ids: readonly number[]): Buffer {
  const packets = Buffer.allocUnsafe(4 * ids.length);
  let at = 0;
  for (const id of ids) {
    packets[at++] = PUBACK;
    packets[at++] = 2;
    packets[at++] = id >> 8;
    packets[at++] = id & 0xff;
  }
  return packets;
}

/** Topics of one device that are remembered. */
const REMEMBERED = 8;

type Known = { readonly topic: Uint8Array; readonly subject: string };

/**
 * The topics on which a device published last, by their bytes: whether it may, and under which subject that goes on
 * the bus, is worked out once for each.
 */
export class OwnTopics {
  readonly #owner: Owner;
  readonly #known: Known[] = [];
  #oldest = 0;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** The subject of the topic that stands from `start` to before `end`; undefined where the device may not publish. */
  subjectOf(bytes: Buffer, start: number, end: number): string | undefined {
    for (const { topic, subject } of this.#known) if (isSame(topic, bytes, start, end)) return subject;
    const topic = Uint8Array.prototype.slice.call(bytes, start, end);
    const subject = this.#work(topic);
    if (subject === undefined) return undefined;
    this.#known[this.#oldest] = { topic, subject };
    this.#oldest = (this.#oldest + 1) % REMEMBERED;
    return subject;
  }

  #work(topic: Uint8Array): string | undefined {
    if (!isUtf8(topic)) return undefined;
    const levels = publishLevels(this.#owner, Buffer.from(topic).toString('utf8'));
    if (levels === undefined) return undefined;
    return mqttSubject(this.#owner.account, this.#owner.deviceId, 'up', levels);
  }
}

/** Topics of one device differ in their last bytes. */
function isSame(topic: Uint8Array, bytes: Buffer, start: number, end: number): boolean {
  if (topic.length !== end - start) return false;
  for (let i = topic.length - 1; i >= 0; i--) if (topic[i] !== bytes[start + i]) return false;
  return true;
}

/** Messages that are on their way to the bus. */
export class InFlight {
  readonly #running = new Set<Promise<unknown>>();

  add(running: Promise<unknown>): void {
    if (this.#running.has(running)) return;
    this.#running.add(running);
    const done = () => this.#running.delete(running);
    running.then(done, done);
  }

  /** Resolves when nothing is. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}
