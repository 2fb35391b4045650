import { EventQueue, EventQueueRequest, EventQueueState, QueueName } from '@signet/contracts';
import { z } from 'zod';
import { deleteQueue, getQueue, listQueues, putQueue, type QueueDeps } from '../../domain/queues/queues.ts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

const QUEUES = '/v1/accounts/{account}/queues';
const one = inAccount.extend({ name: QueueName });

/** Event queues of an account (F41). */
export function queueRoutes(queues: QueueDeps): AnyRoute[] {
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
  ];
}
