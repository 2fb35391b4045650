import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Closes connections that are silent for `ms` while the peer owes something: the rest of a request, or the reading of
 * what it was sent. While we owe it an answer, silence is ours, and the connection stays: a client whose request takes
 * long would lose the answer, and not know what came of it.
 */
export function closeSilent(server: Server, ms: number): void {
  const answering = new WeakMap<Socket, ServerResponse>();
  server.prependListener('request', (request, response) => {
    answering.set(request.socket, response);
  });
  server.setTimeout(ms, (socket: Socket) => {
    const response = answering.get(socket);
    const owesAnswer = response !== undefined && !response.writableEnded && response.req.complete;
    // the timer of a socket goes off once
    if (owesAnswer && socket.writableLength === 0) socket.setTimeout(ms);
    else socket.destroy();
  });
}
