import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { commonHeaders, sendCommonHeaders } from './common-headers.ts';
import { guardBodies } from './connections/body-rate.ts';
import { ConnectionGuard } from './connections/connection-guard.ts';
import { type ConnectionOptions, defaultConnectionLimits } from './connections/connection-limits.ts';
import type { Logger } from './logger.ts';
import { Problem } from './problem.ts';

type ClientError = Error & { readonly code?: string };

const LONGEST_FAREWELL_MS = 1000;

const HEADERS = Object.entries(commonHeaders)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');

/** What every HTTP server of the platform has: guarded connections and bodies, and the common headers. */
export function guardHttp(
  server: Server,
  options: {
    readonly connections: ConnectionOptions;
    readonly log: Logger;
    readonly maxConnections?: number;
  },
): void {
  const { connections, log, maxConnections } = options;
  new ConnectionGuard(server, {
    ...{ ...connections, log },
    ...(maxConnections === undefined ? {} : { maxConnections }),
    tooLate: (socket) => answerClientError(new RequestTimeout(), socket),
  });
  guardBodies(server, {
    bytesPerSecond: connections.limits?.bodyRate ?? defaultConnectionLimits.bodyRate,
    tooSlow: ({ socket }, { headersSent }) => {
      if (headersSent) socket.destroy();
      else answerClientError(new RequestTimeout(), socket);
    },
  });
  sendCommonHeaders(server);
}

/** Answers what is no request, or does not become one, where the connection still takes an answer; then closes it. */
export function answerClientError(error: ClientError, socket: Socket): void {
  const problem = problemOf(error);
  if (problem === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${String(problem.toJSON().title)}\r\n` +
      `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `${HEADERS}Connection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
  // a peer that does not read would keep it open
  setTimeout(() => socket.destroy(), LONGEST_FAREWELL_MS).unref();
}

/** Node's own code for it, so that both are answered alike. */
class RequestTimeout extends Error {
  readonly code = 'ERR_HTTP_REQUEST_TIMEOUT';
}

function problemOf({ code, message }: ClientError): Problem | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem(408, 'request-timeout', 'the request did not come in time');
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Problem(431, 'headers-too-large', 'headers: longer than 16384 bytes');
  // of TLS, or of the network: there is nobody to answer
  if (code?.startsWith('HPE_') !== true) return undefined;
  return new Problem(400, 'invalid-request', `request: ${message}`);
}
