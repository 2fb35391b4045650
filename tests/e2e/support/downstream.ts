import { connect } from '@nats-io/transport-node';
import type { Bus } from '@signet/bus';
import type { Downstream } from './platform.ts';

type Heard = { readonly subject: string; readonly text: string };

/** By an ordinary NATS client. */
export async function natsDownstream(url: string): Promise<Downstream> {
  const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  return {
    async send(subject, text) {
      connection.publish(subject, text);
      await connection.flush();
    },
    async listen(subject) {
      const heard: Heard[] = [];
      connection.subscribe(subject, {
        callback: (_error, message) => {
          heard.push({ subject: message.subject, text: message.string() });
        },
      });
      await connection.flush();
      return heard;
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** By the bus of this process. */
export function localDownstream(bus: Bus): Downstream {
  const stack = new AsyncDisposableStack();
  return {
    send: (subject, text) => bus.send(subject, Buffer.from(text)),
    async listen(subject) {
      const heard: Heard[] = [];
      const take = (message: { subject: string; payload: Uint8Array }) =>
        heard.push({ subject: message.subject, text: Buffer.from(message.payload).toString() });
      stack.use(await bus.listen(subject, take));
      return heard;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
