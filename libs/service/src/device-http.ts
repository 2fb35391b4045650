import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { RefusalCode } from '@signet/contracts';
import { deviceTlsOptions, reloadTls } from '@signet/pki';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AdmissionGate } from './admission-gate.ts';
import { type ConnectionOptions, defaultConnectionLimits } from './connections/connection-limits.ts';
import {
  createHttpApp,
  defaultLimits,
  type HttpLimits,
  type HttpListener,
  letContinue,
  listenHttp,
  sendProblem,
} from './http-app.ts';
import type { Logger } from './logger.ts';
import { Problem } from './problem.ts';
import type { ServerCertificate } from './server-certificate.ts';
import { admissionOf } from './socket-admission.ts';

/** The answer to a peer that the gate refused: what its protocol may tell, and no more. */
export function refusalProblem(code: RefusalCode): Problem {
  switch (code) {
    case 'no-certificate':
      return new Problem(401, code, 'a client certificate is required');
    case 'denylist-not-loaded':
    case 'denylist-stale':
    case 'unavailable':
      return new Problem(503, 'unavailable', 'not ready to admit devices; try again later', {
        retryAfter: 10,
      });
    case 'not-yet-valid':
      // this clock or the issuer's is wrong: another replica, or a later try, may let it in
      return new Problem(503, code, 'this certificate is not valid yet by the clock here; try again later', {
        retryAfter: 60,
      });
    default:
      return new Problem(403, code, 'this certificate is not admitted here');
  }
}

/**
 * Mutual-TLS HTTP/1.1 for devices. Each connection passes `gate` at `secureConnection`; requests on a refused one are
 * answered with {@link refusalProblem} and the connection is closed. In routes `peerOf(request.raw.socket)` is the
 * verified peer. New certificates are taken up without a restart. Errors are RFC 9457; `routes` may set its own error
 * handler.
 */
export async function startDeviceHttps(options: {
  readonly port: number;
  readonly host: string;
  readonly certificate: Pick<ServerCertificate, 'current' | 'onChange'>;
  readonly gate: AdmissionGate;
  readonly log: Logger;
  readonly limits?: Partial<HttpLimits>;
  /** Bounds on its connections. By default those that the configuration has by default, uncounted. */
  readonly connections?: ConnectionOptions;
  readonly routes: (app: FastifyInstance) => void | Promise<void>;
  /** Whether a request of a peer that the gate refused goes on to its route anyway, as the last on its connection. */
  readonly goesOn?: (request: FastifyRequest) => Promise<boolean>;
  /** How a refused peer is answered, where RFC 9457 is not what the protocol speaks. */
  readonly refused?: (problem: Problem) => { readonly type: string; readonly body: string };
  /**
   * Asked before the routes about requests on connections that the gate let in, without their hooks, error handling and
   * tracing; true where it takes the request upon itself.
   */
  readonly first?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Whether a request on a refused connection is left to its route anyway. Default: never. */
  readonly answersRefused?: (request: FastifyRequest) => boolean;
}): Promise<HttpListener> {
  const { certificate, gate, log, first = () => false } = options;
  const connections = options.connections ?? { listener: gate.options.listener };
  const { handshakeMs, requestMs } = { ...defaultConnectionLimits, ...connections.limits };
  const limits = { ...defaultLimits, headersMs: requestMs, ...options.limits };
  const app = createHttpApp({
    makeServer: (handler) => {
      const server = createServer(
        {
          ...deviceTlsOptions(certificate.current()),
          ALPNProtocols: ['http/1.1'],
          // the guard's deadline comes first: this one starts anew with each byte
          handshakeTimeout: 2 * handshakeMs,
          connectionsCheckingInterval: Math.min(2000, limits.headersMs),
        },
        (request, response) => {
          if (!isAdmitted(request) || !first(request, response)) handler(request, response);
          else letContinue(request, response, limits.bodyBytes);
        },
      );
      server.prependListener('secureConnection', (socket: TLSSocket) => void gate.enter(socket));
      return server;
    },
    log,
    limits,
  });
  app.addHook('onRequest', async (request, reply) => {
    const admission = admissionOf(request.raw.socket);
    if (admission !== undefined && admission.kind !== 'refused') return undefined;
    if (admission !== undefined && options.answersRefused?.(request) === true) return undefined;
    reply.header('connection', 'close');
    if (admission !== undefined && (await options.goesOn?.(request)) === true) return undefined;
    const problem = refusalProblem(admission?.refusal.code ?? 'unavailable');
    const answer = options.refused?.(problem);
    if (answer === undefined) return await sendProblem(reply, problem);
    if (problem.retryAfter !== undefined) reply.header('retry-after', String(problem.retryAfter));
    return await reply.status(problem.status).type(answer.type).send(answer.body);
  });
  await options.routes(app);
  const listener = await listenHttp(app, {
    port: options.port,
    host: options.host,
    limits,
    connections,
    log,
  });
  const reloads = certificate.onChange((identity) =>
    reloadTls(app.server as unknown as Parameters<typeof reloadTls>[0], identity),
  );
  const close = async (deadlineMs?: number): Promise<void> => {
    reloads[Symbol.dispose]();
    await listener.close(deadlineMs);
  };
  return { port: listener.port, close, [Symbol.asyncDispose]: () => close() };
}

function isAdmitted({ socket }: IncomingMessage): boolean {
  const admission = admissionOf(socket);
  return admission !== undefined && admission.kind !== 'refused';
}
