import { EventEmitter } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { systemReason } from '../agent-error.ts';
import type { FileCalls, OpenFile } from '../files/file-calls.ts';
import { MessageError } from './message-error.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { type Held, readSegments, segmentFile, type Waiting } from './segments.ts';

/** What may wait at most. Bytes count payload, topic and 19 more for each message. */
export type QueueBounds = { readonly messages: number; readonly bytes: number };
export type QueueSize = QueueBounds;

export type QueuedMessage = { readonly number: number; readonly topic: string; readonly payload: Uint8Array };

export type QueueOptions = {
  readonly files: FileCalls;
  readonly bounds: QueueBounds;
  /** What a segment holds before the next is begun. */
  readonly segmentBytes?: number;
};

type Adding = {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly size: number;
} & PromiseWithResolvers<number>;

const SEGMENT_BYTES = 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
/** What a record is longer than its topic and payload. */
const OVERHEAD = 19;

/**
 * Messages on their way, in a folder of segment files that are only appended to. What `add` has resolved for survives a
 * cut of the power at any moment, in order, until it is delivered; then it may come once more after such a cut. Writers
 * that come together share one fsync.
 */
export class MessageQueue implements AsyncDisposable {
  readonly #folder: string;
  readonly #files: FileCalls;
  readonly #bounds: QueueBounds;
  readonly #segmentBytes: number;
  readonly #events = new EventEmitter<{ added: [] }>();
  #waiting: Waiting[];
  #old: Held['files'];
  #delivered: number;
  #kept: number;
  #next: number;
  #bytes: number;
  #adding: Adding[] = [];
  /** What is not on the disk yet. */
  #coming = { messages: 0, bytes: 0 };
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #segment: { readonly path: string; readonly file: OpenFile; size: number } | undefined;
  #reading: { readonly path: string; readonly handle: FileHandle } | undefined;
  #isOver = false;
  #damaged: number;

  private constructor(
    folder: string,
    { files, bounds, segmentBytes = SEGMENT_BYTES }: QueueOptions,
    held: Held,
  ) {
    this.#folder = folder;
    this.#files = files;
    this.#bounds = bounds;
    this.#segmentBytes = segmentBytes;
    this.#waiting = [...held.waiting];
    this.#old = held.files;
    this.#delivered = held.delivered;
    this.#kept = held.delivered;
    this.#next = held.next;
    this.#bytes = sizeOf(held).bytes;
    this.#damaged = held.damaged;
  }

  /** Goes on with what the folder holds. One queue at a time may have it. */
  static async open(folder: string, options: QueueOptions): Promise<MessageQueue> {
    return new MessageQueue(folder, options, await readSegments(folder));
  }

  get size(): QueueSize {
    return { messages: this.#waiting.length, bytes: this.#bytes };
  }

  /** Messages that were kept, and can be read no more: a disk that changes what it holds. */
  get damaged(): number {
    return this.#damaged;
  }

  /** All up to this number were delivered. */
  get delivered(): number {
    return this.#delivered;
  }

  /**
   * Resolves with the message's number once no power cut can take it back.
   * @throws MessageError `queue-full`, `disk`, `stopping`: the message is not kept
   */
  async add(topic: string, payload: Uint8Array): Promise<number> {
    if (this.#isOver) throw new MessageError('stopping', 'message', 'the agent is about to end');
    const size = payload.length + Buffer.byteLength(topic) + OVERHEAD;
    const { messages, bytes } = this.#bounds;
    const count = this.#waiting.length + this.#coming.messages;
    const sum = this.#bytes + this.#coming.bytes;
    if (count >= messages)
      throw new MessageError('queue-full', 'message', `${count} wait, no more than ${messages} may`);
    if (sum + size > bytes)
      throw new MessageError('queue-full', 'message', `${sum} bytes wait, no more than ${bytes} may`);
    const adding = { topic, payload, size, ...Promise.withResolvers<number>() };
    this.#adding.push(adding);
    this.#coming = { messages: this.#coming.messages + 1, bytes: this.#coming.bytes + size };
    this.#write();
    return await adding.promise;
  }

  /** The first message after this number; undefined where there is none yet. One that cannot be read is left out. */
  async after(number: number): Promise<QueuedMessage | undefined> {
    for (;;) {
      const found = this.#waiting[this.#placeAfter(number)];
      if (found === undefined) return undefined;
      const read = await this.#read(found).catch(() => undefined);
      if (read !== undefined) return read;
      this.#drop(found);
    }
  }

  /** Fires with the next message that is added. */
  added(listener: () => void): Disposable {
    this.#events.on('added', listener);
    return { [Symbol.dispose]: () => void this.#events.off('added', listener) };
  }

  /** All up to this number were delivered: they are kept no longer. */
  deliveredUpTo(number: number): void {
    if (number <= this.#delivered || this.#isOver) return;
    this.#delivered = number;
    const still = this.#waiting.findIndex((each) => each.number > number);
    const gone = this.#waiting.splice(0, still < 0 ? this.#waiting.length : still);
    for (const { size } of gone) this.#bytes -= size;
    this.#write();
  }

  /** Waits for what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    while (this.#isWriting) await this.#writing;
    await this.#segment?.file.sync().catch(() => {});
    await this.#close();
    await this.#reading?.handle.close();
  }

  /** Numbers have no gaps but those of a damaged disk. */
  #placeAfter(number: number): number {
    const [first] = this.#waiting;
    if (first === undefined) return 0;
    let at = Math.min(Math.max(number + 1 - first.number, 0), this.#waiting.length);
    while (at > 0 && (this.#waiting[at - 1]?.number ?? 0) > number) at--;
    return at;
  }

  async #read({ file, offset, size }: Waiting): Promise<QueuedMessage | undefined> {
    if (this.#reading?.path !== file) {
      await this.#reading?.handle.close();
      this.#reading = undefined;
      this.#reading = { path: file, handle: await open(file, 'r') };
    }
    const bytes = Buffer.alloc(size);
    await this.#reading.handle.read(bytes, 0, size, offset);
    const record = decodeRecord(bytes, 0)?.record;
    return record?.kind === 'message' ? record : undefined;
  }

  #drop(unreadable: Waiting): void {
    const at = this.#waiting.indexOf(unreadable);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#bytes -= unreadable.size;
    this.#damaged++;
  }

  #write(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writing = this.#writeAll();
  }

  /** One batch after the other: what comes while the disk writes goes with the next. */
  async #writeAll(): Promise<void> {
    let isTaken = true;
    // a disk that takes nothing need not hear of deliveries: they would be repeated after a cut, no more
    while (this.#adding.length > 0 || (isTaken && this.#kept < this.#delivered)) {
      isTaken = await this.#writeBatch(this.#nextBatch());
      if (isTaken) await this.#retire().catch(() => this.#close());
    }
    this.#isWriting = false;
  }

  /** As much as a segment may be longer than it should. */
  #nextBatch(): Adding[] {
    let count = 0;
    for (let bytes = 0; count < this.#adding.length && bytes < BATCH_BYTES; count++)
      bytes += this.#adding[count]?.size ?? 0;
    return this.#adding.splice(0, count);
  }

  /** Whether the disk has it. */
  async #writeBatch(batch: readonly Adding[]): Promise<boolean> {
    try {
      await this.#keep(batch);
      return true;
    } catch (cause) {
      // what is half written is not read: the next segment begins with the same number
      await this.#close();
      this.#arrived(batch);
      const reason = systemReason(cause) ?? (cause instanceof Error ? cause.message : String(cause));
      for (const { reject } of batch) reject(new MessageError('disk', 'message', reason, cause));
      return false;
    }
  }

  #arrived(batch: readonly Adding[]): void {
    const bytes = batch.reduce((sum, { size }) => sum + size, 0);
    const { messages, bytes: before } = this.#coming;
    this.#coming = { messages: messages - batch.length, bytes: before - bytes };
  }

  async #keep(batch: readonly Adding[]): Promise<void> {
    const segment = await this.#current();
    const delivered = this.#delivered;
    const records: Buffer[] = [];
    if (this.#kept < delivered) records.push(encodeRecord({ kind: 'delivered', number: delivered }));
    let offset = segment.size + (records[0]?.length ?? 0);
    const kept = batch.map(({ topic, payload }, i): Waiting => {
      const number = this.#next + i;
      const record = encodeRecord({ kind: 'message', number, topic, payload });
      records.push(record);
      const at = offset;
      offset += record.length;
      return { number, file: segment.path, offset: at, size: record.length };
    });
    await segment.file.write(Buffer.concat(records));
    if (batch.length > 0) await segment.file.sync();
    segment.size = offset;
    this.#kept = delivered;
    this.#next += batch.length;
    this.#arrived(batch);
    for (const each of kept) this.#waiting.push(each);
    for (const { size } of kept) this.#bytes += size;
    for (const [i, { resolve }] of batch.entries()) resolve(kept[i]?.number ?? 0);
    if (batch.length > 0) this.#events.emit('added');
  }

  /** The segment that is written to. A new one begins by saying what was delivered, so that older ones can go. */
  async #current() {
    if (this.#segment !== undefined && this.#segment.size < this.#segmentBytes) return this.#segment;
    await this.#close();
    const path = segmentFile(this.#folder, this.#next);
    await this.#files.makeFolder(this.#folder);
    const file = await this.#files.create(path, 0o600);
    this.#segment = { path, file, size: 0 };
    const head = encodeRecord({ kind: 'delivered', number: this.#delivered });
    await file.write(head);
    await file.sync();
    await this.#files.syncFolder(this.#folder);
    this.#segment.size = head.length;
    return this.#segment;
  }

  async #close(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#segment = undefined;
    this.#old = [
      ...this.#old.filter(({ path }) => path !== segment.path),
      { path: segment.path, before: this.#next, isDamaged: false },
    ];
    await segment.file.close().catch(() => {});
  }

  /** Segments whose messages were all delivered go, once the disk has it that they were. */
  async #retire(): Promise<void> {
    const segment = this.#segment;
    const gone = this.#old.filter(({ before }) => before <= this.#delivered + 1);
    if (segment === undefined || gone.length === 0 || this.#kept < this.#delivered) return;
    await segment.file.sync();
    for (const { path, isDamaged } of gone) {
      if (isDamaged) await this.#files.rename(path, `${path}.damaged`);
      else if (path !== segment.path) await this.#files.remove(path);
    }
    await this.#files.syncFolder(this.#folder);
    this.#old = this.#old.filter((file) => !gone.includes(file));
  }
}

/** What a queue's folder holds. */
export function sizeOf({ waiting }: Held): QueueSize {
  return { messages: waiting.length, bytes: waiting.reduce((sum, { size }) => sum + size, 0) };
}
