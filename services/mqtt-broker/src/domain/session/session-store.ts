import { z } from 'zod';

const qualityOfService = z.union([z.literal(0), z.literal(1), z.literal(2)]);

/**
 * A subscription as it is stored. All but filter and QoS are of MQTT 5 (§3.8.3.1): absent, they mean what 3.1.1 does.
 * Fields that this version does not know are kept.
 */
export const StoredSubscription = z.looseObject({
  filter: z.string(),
  qos: qualityOfService,
  noLocal: z.boolean().optional(),
  retainAsPublished: z.boolean().optional(),
  retainHandling: qualityOfService.optional(),
  identifier: z.number().int().optional(),
});
export type StoredSubscription = z.infer<typeof StoredSubscription>;

/** What outlives a connection, but for its messages. Fields that this version does not know are kept. */
export const SessionRecord = z.looseObject({
  /** Names this life of the session: what was decided on another life is not done to this one. */
  epoch: z.string(),
  subscriptions: z.array(StoredSubscription),
  /** Seconds that it outlives its connection (MQTT 5 §3.1.2.11.2); absent: for ever, as with 3.1.1. */
  expirySeconds: z.number().optional(),
});
export type SessionRecord = z.infer<typeof SessionRecord>;

/** What is stored of a message beside its payload. Fields that this version does not know are kept. */
export const MessageHeader = z.looseObject({
  topic: z.string(),
  qos: qualityOfService,
  retain: z.boolean().optional(),
  /** Under which packet identifier it was sent: it is sent again under the same (MQTT-4.4.0-1). */
  packetId: z.number().int().optional(),
  /** QoS 2: PUBREC has come, PUBREL is what is sent again. */
  isReceived: z.boolean().optional(),
  /** Unix milliseconds after which it is not delivered any more. */
  expiresAt: z.number().optional(),
  /** MQTT 5 (§3.3.2.3), as they came; binary ones in base64. */
  properties: z.record(z.string(), z.unknown()).optional(),
  /** MQTT 5: the identifiers of the subscriptions that it matched. */
  subscriptionIdentifiers: z.array(z.number().int()).optional(),
});
export type MessageHeader = z.infer<typeof MessageHeader>;

export type StoredMessage = MessageHeader & { readonly payload: Buffer };

/** A message that waits for its device. Messages go out in the order of `seq`, which need not be whole numbers. */
export type QueuedMessage = StoredMessage & { readonly seq: number };

/** A will, from CONNECT until it is published or given up. `session` names the connection that it is of. */
export type StoredWill = StoredMessage & {
  readonly key: string;
  readonly session: string;
  /** The node that is to publish it. */
  readonly node: string;
};

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
  /** Ends all sessions of an account, and forgets its wills and what it retains. @returns how many sessions there were */
  erase(account: string, node: string): Promise<number>;
};

/** What the session store failed with. Its `code` tells it from what a client broke. */
export class SessionStoreError extends Error {
  override readonly name = 'SessionStoreError';
  readonly code = 'unavailable';
}

/**
 * Which node has the connection of a device whose session ends with it. Such a session has no queue: what is stored for
 * it may be given up only if no node has it, not where a node merely cannot be reached over the bus at the moment.
 */
export type CleanSessions = {
  /** This node has it. */
  opened(key: string): Promise<void>;
  closed(key: string): void;
  /** Whether another node, which lives, has it. */
  isElsewhere(key: string): Promise<boolean>;
};
