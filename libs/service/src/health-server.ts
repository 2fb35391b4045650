import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ConnectionOptions } from './connections/connection-limits.ts';
import { answerClientError, guardHttp } from './guarded-http.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';

/** Whoever scrapes and probes, many times over. */
const MAX_CONNECTIONS = 1000;

export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves `/health` (200 while the process lives), `/ready` (200, or 503 with the reason of each failed check) and
 * `/metrics` (Prometheus text). One for a process, never on a device port.
 */
export async function startHealthServer(options: {
  readonly port: number;
  readonly host: string;
  readonly health: Health;
  readonly exposition: () => Promise<string>;
  readonly log: Logger;
  readonly connections?: ConnectionOptions;
}): Promise<HealthServer> {
  const routes: Record<string, (response: ServerResponse) => Promise<void>> = {
    '/health': async (response) => sendJson(response, 200, { alive: true }),
    '/ready': async (response) => {
      const report = await options.health.report();
      sendJson(response, report.ready ? 200 : 503, report);
    },
    '/metrics': async (response) => {
      const text = await options.exposition();
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
    },
  };
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    const route = routes[(request.url ?? '').split('?')[0] ?? ''];
    if (route === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) {
      sendJson(response, 404, { title: 'Not Found', status: 404 });
      return;
    }
    route(response).catch((error: unknown) => {
      options.log.error({ err: error, url: request.url }, 'health port: request failed');
      if (!response.headersSent) sendJson(response, 500, { title: 'Internal Server Error', status: 500 });
    });
  });
  const { connections = { listener: 'health' }, log } = options;
  guardHttp(server, { connections, log, maxConnections: MAX_CONNECTIONS });
  server.on('clientError', (error, socket) => answerClientError(error, socket as Socket));
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  // a worker's health port is its own, even where all its others are shared
  server.once('error', reject).listen({ port: options.port, host: options.host, exclusive: true }, resolve);
  await listening;
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const { promise: closed, resolve: done } = Promise.withResolvers<void>();
      server.close(() => done());
      server.closeAllConnections();
      await closed;
    },
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
