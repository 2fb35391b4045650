import { type Bus, BusError } from '@signet/bus';
import type { Health } from '@signet/service';
import { Problem } from '@signet/service';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { nothing } from './shapes.ts';

const deadLetter = z.object({
  id: z.string(),
  consumer: z.string(),
  error: z.string(),
  at: z.string(),
  event: z.unknown(),
});

const check = z.object({ ok: z.boolean(), reason: z.string().optional() });

/** The state of this process, and the events that consumers gave up on. */
export function platformRoutes({ bus, health }: { bus: Bus; health: Health }): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/status',
      summary: 'Readiness of this process, check by check',
      permission: 'devices:read',
      params: nothing,
      query: nothing,
      response: z.object({ ready: z.boolean(), checks: z.record(z.string(), check) }),
      handle: () => health.report(),
    }),
    route({
      method: 'GET',
      path: '/v1/dead-letters',
      summary: 'Events that a consumer gave up on, with its error',
      permission: 'platform:write',
      params: nothing,
      query: z.object({ consumer: z.string().optional() }),
      response: z.object({ items: z.array(deadLetter) }),
      handle: async ({ query }) => ({ items: [...(await bus.deadLetters.list(query.consumer))] }),
    }),
    route({
      method: 'POST',
      path: '/v1/dead-letters/{id}/retry',
      summary: 'Hand a dead letter to its consumer again',
      permission: 'platform:write',
      params: z.object({ id: z.string() }),
      query: nothing,
      response: z.void(),
      status: 204,
      handle: ({ params }) => known(params.id, bus.deadLetters.retry(params.id)),
    }),
    route({
      method: 'DELETE',
      path: '/v1/dead-letters/{id}',
      summary: 'Drop a dead letter',
      permission: 'platform:write',
      params: z.object({ id: z.string() }),
      query: nothing,
      response: z.void(),
      status: 204,
      handle: ({ params }) => known(params.id, bus.deadLetters.drop(params.id)),
    }),
  ];
}

async function known(id: string, done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!(error instanceof BusError) || error.code !== 'unknown-dead-letter') throw error;
    throw new Problem(404, error.code, `id: no dead letter "${id}"`, { cause: error });
  }
}
