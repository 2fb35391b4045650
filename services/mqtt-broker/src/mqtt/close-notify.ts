import type { TLSSocket } from 'node:tls';
import { sessionEndOf } from '@signet/service';

/** How long a peer has to answer, ms. */
const GRACE_MS = 2000;

/**
 * Makes `destroy()`, by which aedes ends connections, an orderly end: what was written goes out, TLS is closed with
 * close_notify, and what still comes is thrown away until the peer has closed too (a reset would take from it what it
 * has not read yet). At once it ends where the certificate is denied or has expired, where the peer does not read, and
 * where the network has failed.
 *
 * `ended` is called soon after the first `destroy()`: the client is to be closed then, which otherwise happens only when
 * the socket is gone.
 */
export function closeWithNotify(socket: TLSSocket, ended: () => void): void {
  const destroy = socket.destroy.bind(socket);
  let isEnding = false;
  const cut = (error?: Error): TLSSocket => {
    isEnding = true;
    return destroy(error);
  };
  const isOver = () => socket.destroyed || (socket.readableEnded && socket.writableFinished);
  socket.destroy = (error?: Error): TLSSocket => {
    if (isOver() || sessionEndOf(socket) !== undefined) return cut(error);
    if (isEnding) return isWrittenTooLate(error) ? socket : cut(error);
    if (isOfTheNetwork(error) || socket.writableNeedDrain) return cut(error);
    isEnding = true;
    setImmediate(ended);
    const timer = setTimeout(destroy, GRACE_MS);
    socket.once('close', () => clearTimeout(timer));
    socket.removeAllListeners('data');
    socket.resume();
    socket.end();
    return socket;
  };
}

/** aedes closes a client after its connection, and may have answers for it in between. */
function isWrittenTooLate(error: Error | undefined): boolean {
  return error === undefined || codeOf(error) === 'ERR_STREAM_WRITE_AFTER_END';
}

/** Errors of sockets and of TLS have a system call or a code of these. */
function isOfTheNetwork(error: Error | undefined): boolean {
  return error !== undefined && ('syscall' in error || /^ERR_(SSL|TLS)_/.test(codeOf(error)));
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
