import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { type ConnectionOptions, defaultConnectionLimits } from './connections/connection-limits.ts';
import {
  createHttpApp,
  defaultLimits,
  type HttpLimits,
  type HttpListener,
  letContinue,
  listenHttp,
} from './http-app.ts';
import type { Logger } from './logger.ts';

/** Plain HTTP, for operators on loopback and for what RFC 5280 serves in the clear (CRLs, CA certificates, OCSP). */
export async function startPlainHttp(options: {
  readonly port: number;
  readonly host: string;
  readonly log: Logger;
  readonly limits?: Partial<HttpLimits>;
  /** Bounds on its connections. By default those that the configuration has by default, uncounted. */
  readonly connections?: ConnectionOptions;
  readonly routes: (app: FastifyInstance) => void | Promise<void>;
  /** Asked before the routes, without their error handling and tracing; true where it takes the request upon itself. */
  readonly first?: (request: IncomingMessage, response: ServerResponse) => boolean;
}): Promise<HttpListener> {
  const connections = options.connections ?? { listener: 'http' };
  const { requestMs } = { ...defaultConnectionLimits, ...connections.limits };
  const limits = { ...defaultLimits, headersMs: requestMs, ...options.limits };
  const { first = () => false } = options;
  const app = createHttpApp({
    makeServer: (handler) =>
      createServer({ connectionsCheckingInterval: 2000 }, (request, response) => {
        if (!first(request, response)) handler(request, response);
        else letContinue(request, response, limits.bodyBytes);
      }),
    log: options.log,
    limits,
  });
  await options.routes(app);
  return await listenHttp(app, { ...options, limits, connections });
}
