/** A subscription as it is stored. */
export type HeldSubscription = { readonly topic: string; readonly qos: number };

/** A session for which a message waits, by which of its subscriptions. */
export type WaitingFor = HeldSubscription & { readonly clientId: string };

/** A packet of a session's queue. It has an id once it was sent to the device. */
export type QueuedPacket = {
  readonly cmd: string;
  readonly topic: string;
  readonly payload: Buffer | string;
  readonly messageId?: number | null;
};

/** A persistence of aedes, as far as we call it ourselves. */
export type Persistence = {
  addSubscriptions(client: { id: string }, held: readonly HeldSubscription[]): Promise<unknown>;
  subscriptionsByClient(client: { id: string }): Promise<readonly HeldSubscription[]>;
  /** What waits for a session, oldest first. */
  outgoingStream(client: { id: string }): AsyncIterable<QueuedPacket>;
  /** Puts a packet into the queues of these sessions. */
  outgoingEnqueueCombi(subscriptions: readonly WaitingFor[], packet: object): Promise<unknown>;
  /** Rejects where it has none. */
  incomingGetPacket(client: { id: string }, packet: object): Promise<unknown>;
};

/** What waits for one session; octets of payload. */
export type Waiting = { readonly messages: number; readonly bytes: number };

/** Where MQTT sessions are kept. */
export type SessionStore = {
  readonly persistence: Persistence;
  /** Resolves when sessions can be opened; at once unless `failure` says why not. */
  ready(): Promise<void>;
  /** Why sessions cannot be opened now. */
  failure(): string | undefined;
  /** How many messages wait for this session. */
  queued(key: string): Promise<number>;
  /** The same with their size: reads them all. */
  waiting(key: string): Promise<Waiting>;
};
