import { z } from 'zod';
import { type EventType, eventTypes, type SignetEvent } from './events.ts';
import { Account, Time } from './identifiers.ts';

export const QueueName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'queue: lower-case letters, digits and "-", at most 40')
  .describe('Name of the event queue, unique within its account');
export type QueueName = z.infer<typeof QueueName>;

const [first, ...others] = eventTypes as [EventType, ...EventType[]];

const parts = {
  kind: z.enum(['pull', 'push']).describe('Whether events are fetched, or sent to a URL'),
  types: z
    .array(z.enum([first, ...others]))
    .min(1)
    .max(eventTypes.length)
    .optional()
    .describe('Event types; all by default'),
  url: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .optional()
    .describe('Where events are sent (push)'),
  shape: z.enum(['cloudevents']).default('cloudevents').describe('What a message is'),
};

/** What an operator asks for. */
export const EventQueueRequest = z
  .object(parts)
  .refine(({ kind, url }) => kind === 'pull' || url !== undefined, {
    path: ['url'],
    message: 'a push queue needs one',
  })
  .refine(({ kind, url }) => kind === 'push' || url === undefined, {
    path: ['url'],
    message: 'a pull queue has none',
  });
export type EventQueueRequest = z.infer<typeof EventQueueRequest>;

/** An event queue of an account: it has the events of its types from `since` on. */
export const EventQueue = z.object({
  ...parts,
  shape: z.enum(['cloudevents']),
  account: Account,
  name: QueueName,
  since: Time,
  by: z.string(),
  consumer: z.string().describe('What dead letters of this queue go by'),
});
export type EventQueue = z.infer<typeof EventQueue>;

/** How a queue is doing. Counts are exact up to 10,000 and may lag by a second. */
export const EventQueueState = EventQueue.extend({
  pending: z.number().int().describe('Events that are not delivered, or not acknowledged, yet'),
  deadLetters: z.number().int().describe('Events that were given up; up to 1000'),
  acknowledged: z.number().int().optional().describe('Position up to which all is acknowledged (pull)'),
  lastDelivered: z.object({ at: Time, eventId: z.string() }).optional(),
  lastFailure: z
    .object({ at: Time, eventId: z.string(), attempt: z.number().int(), error: z.string() })
    .optional(),
});
export type EventQueueState = z.infer<typeof EventQueueState>;

/** An event as a pull queue hands it out. */
export const PulledEvent = z.object({
  position: z.number().int().describe('What it is acknowledged by'),
  event: z.record(z.string(), z.unknown()).describe('The CloudEvent'),
});
export type PulledEvent = { readonly position: number; readonly event: SignetEvent };
