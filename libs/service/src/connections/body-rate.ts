import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { awaitBody, finishConnection } from './connection-guard.ts';

const TICK_MS = 1000;
/** Seconds that a body is waited for before its rate is looked at. */
const GRACE_SECONDS = 10;

type Watched = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Bytes that its connection had received by then. */
  readonly from: number;
  waited: number;
};

/**
 * Bounds the bodies of requests: until one is in, its connection counts as unfinished, and after ten seconds of waiting
 * for the peer it must have come at `bytesPerSecond` (0: any rate). Time in which nobody reads it is not the peer's.
 */
export function guardBodies(
  server: Server,
  options: {
    readonly bytesPerSecond: number;
    readonly tooSlow: (request: IncomingMessage, response: ServerResponse) => void;
  },
): void {
  const { bytesPerSecond, tooSlow } = options;
  const watched = new Set<Watched>();
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const look = () => {
    for (const one of watched) {
      const { request } = one;
      if (request.complete || request.destroyed) watched.delete(one);
      else if (isAwaited(request) && ++one.waited >= GRACE_SECONDS) {
        if (request.socket.bytesRead - one.from >= bytesPerSecond * one.waited) continue;
        watched.delete(one);
        tooSlow(request, one.response);
      }
    }
    if (watched.size === 0) stop();
  };
  server.prependListener('request', (request, response) => {
    const { socket, headers } = request;
    if (headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0') {
      finishConnection(socket);
      return;
    }
    awaitBody(socket);
    const done = () => finishConnection(socket);
    request.once('end', done).once('close', done);
    if (bytesPerSecond === 0) return;
    watched.add({ request, response, from: socket.bytesRead, waited: 0 });
    timer ??= setInterval(look, TICK_MS).unref();
  });
  server.once('close', stop);
}

/** Whether somebody reads the request, and has read all that came. */
function isAwaited(request: IncomingMessage): boolean {
  const isRead = request.readableFlowing === true || request.listenerCount('readable') > 0;
  return isRead && request.readableLength === 0;
}
