import type {
  QueuedMessage,
  SessionRecord,
  StoredMessage,
  StoredSubscription,
  StoredWill,
} from './session-record.ts';

/** Bounds what waits for one device. */
export type QueueLimits = { readonly messages: number; readonly bytes: number };

/** A session that a connection has. */
export type OpenedSession = {
  readonly record: SessionRecord;
  /** Whether it was there before (session-present of CONNACK). */
  readonly isPresent: boolean;
  /** Messages up to this one may have been sent before: they are sent again with DUP. */
  readonly sentUpTo: number;
  /** Packet identifiers of QoS 2 messages that the device has not released. */
  readonly unreleased: readonly number[];
};

/**
 * Which node has a session: the one with the highest `claim`; 0 where the store serves one node alone. `from` is the
 * other node that had it before.
 */
export type Claim = { readonly claim: number; readonly from: string | undefined };

/** What came of a message; `node` is that which has the session. */
export type Appended =
  | { readonly outcome: 'queued' | 'repeated'; readonly node: string | undefined }
  /** There is no room, or no such session. */
  | { readonly outcome: 'full' | 'gone' };

export type AppendOptions = {
  readonly limits: QueueLimits;
  /** Of a message that may come again: it is queued once. */
  readonly id?: string;
  /** It is sent at once: who finds it later sends it again with DUP. */
  readonly isSent?: boolean;
};

/** What a connection leaves behind: its messages in their order, those that were queued before with their `seq`. */
export type LeftBehind = {
  readonly messages: readonly QueuedMessage[];
  /** The last one that was sent. */
  readonly sentUpTo: number;
  /** The next whole `seq`, so that nothing comes before these. */
  readonly next: number;
};

/**
 * Where MQTT sessions are kept: subscriptions, what waits for a device, unreleased QoS 2 messages, wills; and what
 * accounts share and retain. A promise resolves when what was asked for is as durable as the store is. All reject with
 * SessionStoreError.
 */
export type SessionStore = {
  /** Resolves when sessions can be opened; at once unless `failure` says why not. */
  ready(): Promise<void>;
  /** Why sessions cannot be opened now. */
  failure(): string | undefined;
  /** The session as it is stored; undefined where none outlives its connection. */
  find(key: string): Promise<SessionRecord | undefined>;
  /** The same, after what a node of an earlier version stored for it has been taken over. */
  adopt(key: string): Promise<SessionRecord | undefined>;
  /** Makes `node` the one that has the session. */
  claim(key: string, node: string): Promise<Claim>;
  /** Resumes the session for the connection with this claim, or begins it. Undefined: a later claim has it, and began none. */
  open(key: string, claim: number): Promise<OpenedSession | undefined>;
  /** A clean start: claims the session, and in the same write removes what there was. */
  end(key: string, node: string): Promise<Claim>;
  subscribe(key: string, epoch: string, added: readonly StoredSubscription[]): Promise<void>;
  unsubscribe(key: string, epoch: string, filters: readonly string[]): Promise<void>;
  /** Queues a message behind all others. */
  append(key: string, epoch: string, message: StoredMessage, options: AppendOptions): Promise<Appended>;
  /**
   * At most `limit` messages after `after`, oldest first, which are noted as sent; `upTo` is where to go on. What has
   * expired is dropped.
   */
  take(
    key: string,
    epoch: string,
    after: number,
    limit: number,
  ): Promise<{ readonly messages: readonly QueuedMessage[]; readonly upTo: number }>;
  /** The device has acknowledged these. */
  remove(key: string, seqs: readonly number[]): Promise<void>;
  /** Puts back what a connection had not got through. */
  leave(key: string, epoch: string, left: LeftBehind): Promise<{ readonly node: string | undefined }>;
  /** What waits: for operators and tests. */
  waiting(key: string): Promise<QueueLimits>;
  /** QoS 2: the message is on the bus, and does not go there again before PUBREL. */
  receive(key: string, epoch: string, packetId: number): Promise<void>;
  release(key: string, packetId: number): Promise<void>;
  putWill(will: StoredWill): Promise<void>;
  /** Of this connection alone: a later one may have put another. */
  dropWill(key: string, session: string): Promise<void>;
  wills(): Promise<readonly StoredWill[]>;
  /** What an account shares and retains; without payload it is forgotten. */
  retain(account: string, message: StoredMessage): Promise<void>;
  retained(account: string): Promise<readonly StoredMessage[]>;
};

/** What the session store failed with. Its `code` tells it from what a client broke. */
export class SessionStoreError extends Error {
  override readonly name = 'SessionStoreError';
  readonly code = 'unavailable';
}
