import { EventQueue, EventQueueRequest, EventQueueState, PulledEvent, QueueName } from '@signet/contracts';
import { z } from 'zod';
import { acknowledge, type PullDeps, pull } from '../../domain/queue/pull.ts';
import {
  deleteQueue,
  getQueue,
  listQueues,
  pullQueue,
  putQueue,
  type QueueDeps,
} from '../../domain/queue/queues.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

const QUEUES = '/v1/accounts/{account}/queues';
const one = inAccount.extend({ name: QueueName });

const Pull = z.object({
  max: z.coerce.number().int().min(1).max(1000).default(100),
  waitSeconds: z.coerce.number().int().min(1).max(30).default(20),
});

/** Event queues of an account (F41). */
export function queueRoutes(queues: QueueDeps & PullDeps): AnyRoute[] {
  return [
    route({
      method: 'PUT',
      path: `${QUEUES}/{name}`,
      summary:
        'Make an event queue, or change its URL; the secret that signs what it sends is shown this once',
      permission: 'queues:write',
      params: one,
      query: nothing,
      body: EventQueueRequest,
      response: EventQueue.extend({ secret: z.string().optional() }),
      handle: ({ params, body, operator }) => putQueue(queues, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: QUEUES,
      summary: 'The event queues of an account',
      permission: 'events:read',
      params: inAccount,
      query: nothing,
      response: z.object({ items: z.array(EventQueue) }),
      handle: async ({ params }) => ({ items: await listQueues(queues, params.account) }),
    }),
    route({
      method: 'GET',
      path: `${QUEUES}/{name}`,
      summary: 'An event queue, what waits in it, and what last became of its events',
      permission: 'events:read',
      params: one,
      query: nothing,
      response: EventQueueState,
      handle: ({ params: { account, name } }) => getQueue(queues, account, name),
    }),
    route({
      method: 'DELETE',
      path: `${QUEUES}/{name}`,
      summary: 'Delete an event queue, with what waits in it',
      permission: 'queues:write',
      params: one,
      query: nothing,
      response: z.void(),
      status: 204,
      handle: ({ params: { account, name } }) => deleteQueue(queues, account, name),
    }),
    route({
      method: 'GET',
      path: `${QUEUES}/{name}/events`,
      summary:
        'The next events of a pull queue, one batch at a time: waits for the first, and gives the same again if they are not acknowledged in time',
      permission: 'queues:write',
      params: one,
      query: Pull,
      response: z.object({ items: z.array(PulledEvent) }),
      handle: async ({ params: { account, name }, query: { max, waitSeconds } }) => ({
        items: await pull(queues, await pullQueue(queues, account, name), {
          max,
          waitMs: waitSeconds * 1000,
        }),
      }),
    }),
    route({
      method: 'POST',
      path: `${QUEUES}/{name}/ack`,
      summary: 'Acknowledge what a pull queue handed out, up to a position',
      permission: 'queues:write',
      params: one,
      query: nothing,
      body: z.object({ position: z.number().int().min(0) }),
      response: z.void(),
      status: 204,
      handle: async ({ params: { account, name }, body }) =>
        acknowledge(queues, await pullQueue(queues, account, name), body.position),
    }),
  ];
}
