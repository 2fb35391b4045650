import type { FastifyInstance } from 'fastify';

/** Browsers ask again after so long. Seconds. */
const PREFLIGHT_AGE = 600;

/**
 * Lets pages of these origins call the API (Fetch, CORS protocol): with a token that they have, never with cookies.
 * Others get the same answers, which their browser keeps from them.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || !origins.includes(origin)) return;
    reply.header('access-control-allow-origin', origin);
    reply.header('access-control-expose-headers', 'retry-after, idempotency-replayed');
  });
  app.options('/*', { config: { isPublic: true } }, async (request, reply) => {
    if (origins.includes(request.headers.origin ?? ''))
      reply
        .header('access-control-allow-methods', 'GET, POST, PUT, DELETE')
        .header('access-control-allow-headers', 'authorization, content-type, idempotency-key')
        .header('access-control-max-age', String(PREFLIGHT_AGE));
    return reply.status(204).send();
  });
}
