import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { readForeignJson } from '@signet/contracts';
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyServerFactory,
  fastify,
  LogController,
} from 'fastify';
import type { ConnectionOptions } from './connections/connection-limits.ts';
import { closeSilent } from './connections/silence.ts';
import { answerClientError, guardHttp } from './guarded-http.ts';
import { traceRequests } from './http-tracing.ts';
import type { Logger } from './logger.ts';
import { Problem } from './problem.ts';
import { problemOf } from './problem-of.ts';

/** Bounds against slow and greedy clients; times in ms. */
export type HttpLimits = {
  /** Until the headers of a request are in. */
  readonly headersMs: number;
  /** Until the whole request is in. */
  readonly requestMs: number;
  /** How long an idle connection is kept. */
  readonly keepAliveMs: number;
  /** How long a connection may be silent while its peer owes the rest of a request, or does not read the answer. */
  readonly silenceMs: number;
  /** With more, one gives way: see `ConnectionGuard`. */
  readonly maxConnections: number;
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
};

export const defaultLimits: HttpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 65_000,
  silenceMs: 120_000,
  maxConnections: 20_000,
  bodyBytes: 64 * 1024,
};

export interface HttpListener extends AsyncDisposable {
  readonly port: number;
  /**
   * Stops accepting, lets requests in flight finish, closes kept connections as they fall idle, and cuts what is left
   * after `deadlineMs` (default 10000). Resolves when no connection is left.
   */
  close(deadlineMs?: number): Promise<void>;
}

/** Fastify with our errors, tracing and log; `makeServer` decides between HTTP and HTTPS. */
export function createHttpApp(options: {
  readonly makeServer: (handler: Parameters<FastifyServerFactory>[0]) => Server;
  readonly log: Logger;
  readonly limits: HttpLimits;
}): FastifyInstance {
  const { limits, log } = options;
  const app = fastify({
    serverFactory: (handler) => options.makeServer(handler),
    bodyLimit: limits.bodyBytes,
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: !log.isLevelEnabled('debug') }),
    trustProxy: false,
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, problemOf(error)),
    clientErrorHandler: answerClientError,
    return503OnClosing: true,
    routerOptions: { maxParamLength: 256 },
  }) as unknown as FastifyInstance;
  readJsonBodies(app);
  app.addHook('preParsing', async (request, reply) => {
    // what is not served is said before a body of whatever type and length is read
    if (request.is404) throw notFound();
    letContinue(request.raw, reply.raw, request.routeOptions.bodyLimit);
  });
  traceRequests(app);
  app.setErrorHandler(async (error, request, reply) => {
    const problem = problemOf(isTooLong(error) ? tooLong(request.routeOptions.bodyLimit) : error);
    if (problem.status >= 500)
      request.log.error({ err: error, url: request.routeOptions.url }, 'request failed');
    await sendProblem(reply, problem);
  });
  app.setNotFoundHandler(async (_request, reply) => {
    await sendProblem(reply, notFound());
  });
  return app;
}

function notFound(): Problem {
  return new Problem(404, 'not-found', 'no such resource');
}

/** Answers to clients that wait to be told to send their body (RFC 9110 §10.1.1). */
const asking = new WeakSet<ServerResponse>();

/**
 * Tells a client that asked first to send its body, once it is about to be read. One that will be refused, for its
 * length too, is not told: it might still be sending when the connection closes, and never read why.
 */
export function letContinue(request: IncomingMessage, response: ServerResponse, limit: number): void {
  if (!asking.delete(response) || response.headersSent) return;
  if (!(Number(request.headers['content-length']) > limit)) response.writeContinue();
}

/** Bodies of strangers: JSON is read by `readForeignJson` alone, instead of by Fastify. */
function readJsonBodies(app: FastifyInstance): void {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      // a client that sends its content type with every request has not said anything yet
      done(null, body.length === 0 ? undefined : readForeignJson(body, 'body'));
    } catch (error) {
      done(error as Error);
    }
  });
}

function isTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_BODY_TOO_LARGE';
}

function tooLong(limit: number): Problem {
  return new Problem(413, 'body-too-large', `body: longer than ${limit} bytes`, { field: 'body' });
}

/** Applies the limits to the server of `app`, and listens. */
export async function listenHttp(
  app: FastifyInstance,
  options: {
    readonly port: number;
    readonly host: string;
    readonly limits: HttpLimits;
    readonly connections: ConnectionOptions;
    readonly log: Logger;
  },
): Promise<HttpListener> {
  const { server } = app;
  const { limits } = options;
  server.headersTimeout = limits.headersMs;
  server.requestTimeout = limits.requestMs;
  server.keepAliveTimeout = limits.keepAliveMs;
  closeSilent(server, limits.silenceMs);
  guardHttp(server, {
    ...{ connections: options.connections, log: options.log },
    maxConnections: limits.maxConnections,
  });
  server.on('checkContinue', (request, response) => {
    asking.add(response);
    server.emit('request', request, response);
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  let closing: Promise<void> | undefined;
  app.addHook('onSend', async (_request, reply) => {
    if (closing !== undefined) reply.header('connection', 'close');
  });
  // Fastify would bind "localhost" with two servers, and the second would escape limits and reloads.
  await app.listen({ port: options.port, host: options.host === 'localhost' ? '127.0.0.1' : options.host });

  const close = async (deadlineMs = 10_000): Promise<void> => {
    const timer = setTimeout(() => {
      options.log.warn({ connections: sockets.size }, 'stop: deadline over, cutting what is left');
      for (const socket of sockets) socket.destroy();
    }, deadlineMs);
    const closed = app.close();
    server.closeIdleConnections();
    await closed;
    clearTimeout(timer);
  };
  const listener: HttpListener = {
    port: (server.address() as AddressInfo).port,
    close(deadlineMs) {
      closing ??= close(deadlineMs);
      return closing;
    },
    [Symbol.asyncDispose]: () => listener.close(),
  };
  return listener;
}

/** Answers with problem details (RFC 9457). */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.retryAfter !== undefined) reply.header('retry-after', String(problem.retryAfter));
  return reply.status(problem.status).type('application/problem+json').send(problem.toJSON());
}
