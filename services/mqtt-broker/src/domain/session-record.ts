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
