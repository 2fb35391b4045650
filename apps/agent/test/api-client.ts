import { Agent, get } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Identity } from '../src/index.ts';

/** A device that stays connected to a server of the owner. */
export class Client {
  readonly #agent: Agent;
  readonly #port: number;
  closed = false;

  constructor(port: number, identity?: Identity) {
    const own = identity === undefined ? {} : { key: identity.key, cert: identity.certificate };
    this.#port = port;
    // the server's certificate is not what is tried here
    this.#agent = new Agent({ ...own, keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  }

  /** Status and body, or the code of what TLS ended with. */
  ask(): Promise<string> {
    const { promise, resolve: answer } = Promise.withResolvers<string>();
    const sent = get({ host: 'localhost', port: this.#port, agent: this.#agent }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => answer(`${response.statusCode} ${text.split(/[\r\n]/)[0]}`));
    });
    sent.on('socket', (socket: TLSSocket) => {
      if (!sent.reusedSocket) socket.once('close', () => (this.closed = true));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => answer(error.code ?? error.message));
    return promise;
  }
}
