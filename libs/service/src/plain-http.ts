import { createServer } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { createHttpApp, defaultLimits, type HttpLimits, type HttpListener, listenHttp } from './http-app.ts';
import type { Logger } from './logger.ts';

/** Plain HTTP, for operators on loopback and for what RFC 5280 serves in the clear (CRLs, CA certificates, OCSP). */
export async function startPlainHttp(options: {
  readonly port: number;
  readonly host: string;
  readonly log: Logger;
  readonly limits?: Partial<HttpLimits>;
  readonly routes: (app: FastifyInstance) => void | Promise<void>;
}): Promise<HttpListener> {
  const limits = { ...defaultLimits, ...options.limits };
  const app = createHttpApp({
    makeServer: (handler) => createServer({ connectionsCheckingInterval: 2000 }, handler),
    log: options.log,
    limits,
  });
  await options.routes(app);
  return await listenHttp(app, { ...options, limits });
}
