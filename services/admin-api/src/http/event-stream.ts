import { once } from 'node:events';
import type { Bus, TailFrom } from '@signet/bus';
import { Account, eventTypes, isEventType, type SignetEvent } from '@signet/contracts';
import { type Logger, Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { demand } from './authenticate.ts';
import { operatorOf } from './serve-routes.ts';

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

/**
 * `GET /v1/accounts/{account}/events`: events as they come (server-sent events): `id` is the position to go on from,
 * `event` the type, `data` the CloudEvent. `-` stands for all accounts. A slow reader slows only itself.
 */
export function serveEventStream(app: FastifyInstance, { bus, log }: { bus: Bus; log: Logger }): void {
  app.get('/v1/accounts/:account/events', async (request, reply) => {
    const { account } = Params.parse(request.params);
    const { types, from } = Query.parse(request.query);
    demand(operatorOf(request), 'events:read', account === '-' ? '*' : account);
    const wanted = types === undefined ? eventTypes : types.split(',').map(eventType);
    const start = startOf(request.headers['last-event-id'], from);
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'keep-alive',
    });
    raw.write(': connected\n\n');
    const heartbeat = setInterval(() => raw.write(': alive\n\n'), HEARTBEAT_MS);
    const closed = once(raw, 'close');
    const tail = await bus.tail(
      { types: wanted, from: start, ...(account === '-' ? {} : { account }) },
      async (event, position) => {
        if (!raw.destroyed && !raw.write(frame(event, position)))
          await Promise.race([once(raw, 'drain'), closed]);
      },
    );
    await closed;
    clearInterval(heartbeat);
    await tail[Symbol.asyncDispose]();
    log.debug({ account }, 'event stream closed');
  });
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
