import type { ServerResponse } from 'node:http';
import type { Bus, TailFrom } from '@signet/bus';
import { Account, eventTypes, isEventType, type SignetEvent } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Operator } from '../domain/token/api-token.ts';
import type { Auditor } from './audit.ts';
import { demand } from './authenticate.ts';
import type { DescribedRoute } from './route.ts';
import { fastifyPath, operatorOf } from './serve-routes.ts';

const HEARTBEAT_MS = 15_000;

const Params = z.object({ account: z.union([Account, z.literal('-')]) });
const Query = z.object({
  /** Comma-separated event types; all by default. */
  types: z.string().optional(),
  /** `new`, `start`, or the position after which to go on. */
  from: z
    .string()
    .regex(/^(new|start|\d+)$/, 'from: "new", "start" or a position')
    .default('new'),
});

export const eventStreamRoute = {
  method: 'GET',
  path: '/v1/accounts/{account}/events',
  summary:
    'Events as they come; "-" stands for all accounts. Each has its position as id: Last-Event-ID goes on after it',
  permission: 'events:read',
  params: Params,
  query: Query,
  response: z.string(),
  contentType: 'text/event-stream',
} as const satisfies DescribedRoute;

type Parts = {
  readonly bus: Bus;
  readonly audit: Pick<Auditor, 'end'>;
  readonly authenticate: (authorization: string | undefined) => Promise<Operator>;
  readonly heartbeatMs?: number;
};

/**
 * Serves events as server-sent events: `id` is the position to go on from, `event` the type, `data` the CloudEvent. The
 * first line is sent once nothing later can be missed. A slow reader slows only itself. A stream ends when the server
 * stops, and soon after its token is revoked or expires.
 */
export function serveEventStream(app: FastifyInstance, parts: Parts): void {
  const { bus, audit, authenticate, heartbeatMs = HEARTBEAT_MS } = parts;
  const open = new Set<ServerResponse>();
  app.addHook('preClose', async () => {
    for (const raw of open) raw.end();
  });
  app.get(fastifyPath(eventStreamRoute.path), async (request, reply) => {
    const operator = operatorOf(request);
    const { account } = request.params as { account: string };
    demand(operator, 'events:read', account === '-' ? '*' : account);
    Params.parse(request.params);
    const { types, from } = Query.parse(request.query);
    const wanted = types === undefined ? eventTypes : types.split(',').map(eventType);
    const start = startOf(request.headers['last-event-id'], from);
    const { raw } = reply;
    const begun = Promise.withResolvers<void>();
    const closed = new Promise<void>((resolve) => raw.once('close', resolve));
    const tail = await bus.tail(
      { types: wanted, from: start, ...(account === '-' ? {} : { account }) },
      async (event, position) => {
        await begun.promise;
        if (raw.destroyed || raw.writableEnded) return;
        if (!raw.write(frame(event, position))) await Promise.race([drained(raw), closed]);
      },
    );
    await audit.end(request, 200);
    reply.hijack();
    open.add(raw);
    raw.on('error', () => raw.destroy());
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    raw.write(': connected\n\n');
    begun.resolve();
    const heartbeat = setInterval(() => {
      authenticate(request.headers.authorization)
        .then(({ grants }) => {
          demand({ ...operator, grants }, 'events:read', account === '-' ? '*' : account);
          if (!raw.writableEnded) raw.write(': alive\n\n');
        })
        .catch((error: unknown) => {
          // A store that is unavailable is no reason to cut anybody.
          if (error instanceof Problem) raw.end();
        });
    }, heartbeatMs);
    await closed;
    clearInterval(heartbeat);
    open.delete(raw);
    await tail[Symbol.asyncDispose]();
  });
}

function drained(raw: ServerResponse): Promise<void> {
  return new Promise((resolve) => raw.once('drain', resolve));
}

function eventType(type: string) {
  if (!isEventType(type))
    throw new Problem(400, 'invalid-input', `types: "${type}" is not in the event catalogue`, {
      field: 'types',
    });
  return type;
}

function startOf(lastEventId: string | string[] | undefined, from: string): TailFrom {
  if (typeof lastEventId === 'string' && /^\d+$/.test(lastEventId)) return { after: Number(lastEventId) };
  return from === 'new' || from === 'start' ? from : { after: Number(from) };
}

function frame(event: SignetEvent, position: number): string {
  return `id: ${position}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
