import type { EventType, Operation, SignetEvent } from '@signet/contracts';
import type { z } from 'zod';

export interface Subscription extends AsyncDisposable {}

/** A durable consumer. Replicas that give the same name share its work. */
export type Consumer = {
  /** `[a-z0-9-]+`, e.g. `revocation-sync-revocations`. */
  readonly durable: string;
  readonly types: readonly EventType[];
  /** Only events of this account. */
  readonly account?: string;
  /** Where it begins when it is first seen, ISO 8601: what was there before is not for it. Default: all that is kept. */
  readonly since?: string;
  /** One durable for each partition with one message in flight: effects come in the order of the events of a device. */
  readonly ordered?: boolean;
  /** How many events of an unordered consumer one replica handles at a time, up to 256. Default 32. */
  readonly concurrency?: number;
  /** How often a message is tried before it goes to the dead letters. Default 10. */
  readonly maxDeliveries?: number;
  /** Waits between tries in ms, the last repeated. Default 100, 500, 2000, 10000, 30000. */
  readonly backoffMs?: readonly number[];
};

export type ListenOptions = {
  /**
   * The connection was lost and is back: plain messages of that time were missed, and those that were sent
   * went to nobody. Called before any new message arrives; `renewed` resolves once the bus knows of this listener
   * again, and rejects if the connection is lost before that (then this is called again).
   */
  readonly onGap?: (renewed: Promise<void>) => void;
};

/** Resolves: acknowledged. Rejects: tried again after the backoff, then dead-lettered. Must be idempotent. */
export type Handler = (event: SignetEvent, delivery: { readonly attempt: number }) => Promise<void>;

/** Where a tail starts: only what comes, all that is kept, or just after a position that an earlier call was given. */
export type TailFrom = 'new' | 'start' | { readonly after: number };

/** Events of some types of one account after a position. */
export type EventsSince = {
  readonly types: readonly EventType[];
  readonly account: string;
  readonly after: number;
};

export type DeadLetter = {
  readonly id: string;
  readonly consumer: string;
  /** Undefined where the message was no event of the catalogue; `text` then has what it was. */
  readonly event: SignetEvent | undefined;
  readonly text?: string | undefined;
  readonly error: string;
  readonly at: string;
};

/** What consumers gave up on. `retry` hands it to the same consumer again. */
export interface DeadLetters {
  list(consumer?: string): Promise<readonly DeadLetter[]>;
  retry(id: string): Promise<void>;
  drop(id: string): Promise<void>;
}

export type Message = { readonly subject: string; readonly payload: Uint8Array };

/** A message that was stored. It may be handed out again, under the same `id`, which no other has. */
export type StoredMessage = Message & { readonly id: string };

/** Between which times the clock of a server stands, Unix ms: how far they are apart is how long its answer took. */
export type ServerTime = { readonly earliest: number; readonly latest: number };

/** Resolves: acknowledged. Rejects: tried again, with backoff and without end. Must be idempotent. */
export type DownlinkHandler = (message: StoredMessage) => Promise<void>;

/** Events: kept, numbered, delivered at least once to each durable consumer. */
export interface EventBus {
  /** Resolves once every event is stored. Waits, with backoff, while the bus is unavailable or full; drops nothing. */
  publish(events: readonly SignetEvent[], options?: { signal?: AbortSignal }): Promise<void>;
  consume(consumer: Consumer, handler: Handler): Promise<Subscription>;
  /** How many events a consumer has yet to settle; of more than 10,000 it may say 10,000. */
  pending(consumer: Consumer): Promise<number>;
  /** Ends a durable consumer for good, with its dead letters. Who still consumes under its name would begin it anew. */
  deleteConsumer(consumer: Pick<Consumer, 'durable' | 'ordered'>): Promise<void>;
  /** How many events of one account came after a position; of more than 10,000 it may say 10,000. */
  countSince(want: EventsSince): Promise<number>;
  /** The position of the latest event that is stored; 0 where there never was one. */
  position(): Promise<number>;
  /**
   * Every replica sees all events of these types, in order. `position` grows; the handler is awaited. Nothing is
   * delivered twice: a handler that throws is logged, and the tail goes on.
   */
  tail(
    options: { readonly types: readonly EventType[]; readonly from: TailFrom; readonly account?: string },
    handler: (event: SignetEvent, position: number) => void | Promise<void>,
  ): Promise<Subscription>;
  readonly deadLetters: DeadLetters;
}

/** Operations: request and reply, typed by contracts. */
export interface Rpc {
  /**
   * Replicas that serve one operation share its requests. The caller gets, typed: an OperationError, and any other
   * `CodedError` whose code is on the operation's list; `unavailable` where store, bus or disk are; `invalid-input`
   * for a cursor that is not one of its query. Everything else is logged and answered as `internal`, without its text.
   */
  serve<I extends z.ZodType, O extends z.ZodType, C extends string>(
    operation: Operation<I, O, C>,
    handler: (input: z.output<I>) => Promise<z.input<O>>,
  ): Promise<Subscription>;
  /**
   * @throws OperationError with one of the operation's codes, or `invalid-input`, `unavailable` (nobody serves it),
   * `deadline-exceeded` (default 5000 ms), `internal`
   */
  request<I extends z.ZodType, O extends z.ZodType, C extends string>(
    operation: Operation<I, O, C>,
    input: z.input<I>,
    options?: { deadlineMs?: number },
  ): Promise<z.output<O>>;
}

/** Messages: bytes on a subject, from and to devices and among nodes. */
export interface Messages {
  /**
   * A plain message on a subject. `stored`: resolves once the stream of MQTT messages has it (waiting while that is
   * unavailable, failing with BusError `full` or `unavailable` after `deadlineMs`); else it is sent and forgotten. What is
   * stored for a device (`signet.mqtt.<account>.<device>.down.…`) reaches no listener, only {@link consumeDownlink}.
   */
  send(
    subject: string,
    payload: Uint8Array,
    options?: { stored?: boolean; deadlineMs?: number },
  ): Promise<void>;
  /** Plain messages; `*` stands for one token, `>` for the rest. Every listener sees all. */
  listen(
    subject: string,
    handler: (message: Message) => void | Promise<void>,
    options?: ListenOptions,
  ): Promise<Subscription>;
  /**
   * Takes what was stored for devices. All replicas share the work; the messages of one device come one after the
   * other, in their order, and while one is tried again others of its partition wait.
   */
  consumeDownlink(handler: DownlinkHandler): Promise<Subscription>;
  /**
   * Gives a message to the one listener of its subject, and waits until the promise of its handler settles. `nobody`
   * listens, or is `silent` for `deadlineMs` (default 5000) and may yet take it.
   * @throws BusError `unavailable`: the handler failed, or the bus is unavailable
   */
  requestRaw(
    subject: string,
    payload: Uint8Array,
    options?: { deadlineMs?: number },
  ): Promise<'taken' | 'nobody' | 'silent'>;
}

/** What services say to each other. Ask for the part that you use: `EventBus`, `Rpc` or `Messages`. */
export interface Bus extends EventBus, Rpc, Messages, AsyncDisposable {
  /** Undefined while the bus answers and each of its streams does, else what is wrong. Feeds `/ready`. */
  failure(): string | undefined;
  /** What time the bus' server has; undefined where there is none, or it has not answered yet. */
  serverTime(): ServerTime | undefined;
}
