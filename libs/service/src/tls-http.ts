import { createServer } from 'node:https';
import type { FastifyInstance } from 'fastify';
import { type ConnectionOptions, defaultConnectionLimits } from './connections/connection-limits.ts';
import { createHttpApp, defaultLimits, type HttpLimits, type HttpListener, listenHttp } from './http-app.ts';
import type { Logger } from './logger.ts';
import type { ServerCertificate } from './server-certificate.ts';

/** HTTPS for operators: the server has a certificate, the caller has a token. New certificates need no restart. */
export async function startTlsHttp(options: {
  readonly port: number;
  readonly host: string;
  readonly certificate: Pick<ServerCertificate, 'current' | 'onChange'>;
  readonly log: Logger;
  readonly limits?: Partial<HttpLimits>;
  /** Bounds on its connections. By default those that the configuration has by default, uncounted. */
  readonly connections?: ConnectionOptions;
  readonly routes: (app: FastifyInstance) => void | Promise<void>;
}): Promise<HttpListener> {
  const connections = options.connections ?? { listener: 'http' };
  const { handshakeMs, requestMs } = { ...defaultConnectionLimits, ...connections.limits };
  const limits = { ...defaultLimits, headersMs: requestMs, ...options.limits };
  const server = createServer({
    ...options.certificate.current(),
    minVersion: 'TLSv1.2',
    connectionsCheckingInterval: 2000,
    handshakeTimeout: 2 * handshakeMs,
  });
  const app = createHttpApp({
    makeServer: (handler) => server.on('request', handler),
    log: options.log,
    limits,
  });
  await options.routes(app);
  const listener = await listenHttp(app, { ...options, limits, connections });
  const reloads = options.certificate.onChange((identity) => server.setSecureContext(identity));
  const close = async (deadlineMs?: number): Promise<void> => {
    reloads[Symbol.dispose]();
    await listener.close(deadlineMs);
  };
  return { port: listener.port, close, [Symbol.asyncDispose]: () => close() };
}
