import { Readable } from 'node:stream';
import { trackOwed } from '@signet/bus';
import { finishConnection, Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { AnswerOnceDeps } from '../domain/idempotency/answer-once.ts';
import type { Operator } from '../domain/token/api-token.ts';
import type { AccountGuard } from './account-guard.ts';
import { type Auditor, accountOf } from './audit.ts';
import { demand, demandCounted } from './authenticate.ts';
import { failedAttempts } from './failed-attempts.ts';
import { keyed } from './idempotency.ts';
import { asProblem } from './operation-problem.ts';
import { type AnyRoute, mayOwe, OWED } from './route.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without a token, and not in the audit. */
    isPublic?: boolean;
  }
  interface FastifyRequest {
    operator?: Operator;
  }
}

/**
 * Authenticates every call, tells the audit of each before it changes anything and before it is answered, and serves
 * the routes. Of calls without a
 * valid token the audit has those that were answered 401; what the limit turns away (429) is a flood.
 */
export function serveRoutes(
  app: FastifyInstance,
  options: {
    readonly routes: readonly AnyRoute[];
    readonly authenticate: (authorization: string | undefined) => Promise<Operator>;
    readonly audit: Auditor;
    readonly accounts: AccountGuard;
    readonly idempotency: AnswerOnceDeps;
  },
): void {
  const countFailure = failedAttempts();
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config?.isPublic === true) return;
    const { authorization } = request.headers;
    try {
      request.operator = await options.authenticate(authorization);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      await countFailure(request.ip);
      const why = authorization === undefined ? '' : ', error="invalid_token"';
      reply.header('www-authenticate', `Bearer realm="signet"${why}`);
      throw error;
    }
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const isPublic = request.routeOptions.config?.isPublic === true;
    if (isPublic || reply.statusCode === 429) return payload;
    const { statusCode } = reply;
    if (request.auditIntent === undefined || !(payload instanceof Readable)) {
      await options.audit.end(request, statusCode);
      return payload;
    }
    // what is changed while its report goes out has its outcome at the end of that
    payload.once('close', () => {
      if (!payload.readableEnded) request.auditNote ??= 'its report was cut off';
      void options.audit.end(request, statusCode);
    });
    return payload;
  });
  for (const route of options.routes) {
    app.route({
      method: route.method,
      url: fastifyPath(route.path),
      ...(route.bodyBytes === undefined ? {} : { bodyLimit: route.bodyBytes }),
      // before the body is read
      onRequest: async (request) => {
        const operator = operatorOf(request);
        demand(operator, route.permission, accountOf(request.params));
        demandCounted(operator, route.permission, route.isBudgeted === true);
        if (route.method !== 'GET') await options.accounts.requireActive(operator, accountOf(request.params));
        finishConnection(request.raw.socket);
      },
      handler: async (request, reply) => {
        const operator = operatorOf(request);
        const call = {
          params: route.params.parse(request.params),
          query: route.query.parse(request.query),
          body: route.body?.parse(request.body ?? {}),
          operator,
          note: (text: string) => {
            request.auditNote = text;
          },
        };
        if (route.method !== 'GET') await options.audit.begin(request);
        try {
          const { status, body } = await keyed(options.idempotency, request, reply, operator.id, async () => {
            const { result, owed } = await trackOwed(() => route.handle(call as never));
            if (owed && mayOwe(route))
              return { status: OWED.status, body: route.status === 204 ? {} : result };
            return { status: route.status ?? 200, body: route.status === 204 ? undefined : result };
          });
          return await reply.status(status).send(body);
        } catch (error) {
          throw asProblem(error);
        }
      },
    });
  }
}

/** The caller that the authentication hook found. */
export function operatorOf(request: { operator?: Operator }): Operator {
  if (request.operator === undefined)
    throw new Problem(401, 'unauthenticated', 'authorization: a valid API token is needed');
  return request.operator;
}

/** `{name}` of OpenAPI as `:name` of Fastify. */
export function fastifyPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}
