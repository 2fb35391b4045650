import { type Logger, Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { Operator } from '../domain/api-token.ts';
import { demand } from './authenticate.ts';
import { asProblem } from './operation-problem.ts';
import type { AnyRoute } from './route.ts';

export type Answered = {
  readonly operator: Operator | undefined;
  readonly account: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly address: string;
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without a token. */
    isPublic?: boolean;
  }
  interface FastifyRequest {
    operator?: Operator;
  }
}

/** Authenticates every call, tells each one to the audit, and serves the routes. */
export function serveRoutes(
  app: FastifyInstance,
  options: {
    readonly routes: readonly AnyRoute[];
    readonly authenticate: (authorization: string | undefined) => Promise<Operator>;
    readonly audit: (answered: Answered) => Promise<void>;
    readonly log: Logger;
  },
): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.isPublic === true) return;
    try {
      request.operator = await options.authenticate(request.headers.authorization);
    } catch (error) {
      reply.header('www-authenticate', 'Bearer realm="signet"');
      throw error;
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    if (request.routeOptions.config.isPublic === true) return;
    const { operator, method, ip: address } = request;
    const path = request.url.split('?', 1)[0] ?? '';
    const answered = {
      operator,
      account: accountOf(request.params),
      method,
      path,
      status: reply.statusCode,
      address,
    };
    await options
      .audit(answered)
      .catch((error: unknown) => options.log.error({ err: error, ...answered }, 'audit: not written'));
  });
  for (const route of options.routes) {
    app.route({
      method: route.method,
      url: fastifyPath(route.path),
      handler: async (request, reply) => {
        const operator = operatorOf(request);
        demand(operator, route.permission, accountOf(request.params));
        const call = {
          params: route.params.parse(request.params),
          query: route.query.parse(request.query),
          body: route.body?.parse(request.body),
          operator,
        };
        try {
          const answer = await route.handle(call as never);
          return await reply.status(route.status ?? 200).send(route.status === 204 ? undefined : answer);
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

/** The account in the path; `*` where there is none, or where it stands for all of them. */
export function accountOf(params: unknown): string {
  const account = (params as { account?: string } | undefined)?.account ?? '*';
  return account === '-' ? '*' : account;
}
