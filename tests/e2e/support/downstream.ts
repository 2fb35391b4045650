import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Bus } from '@signet/bus';
import { MQTT_STREAM } from '@signet/contracts';
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
    async stored(subject) {
      const manager = await jetstreamManager(connection);
      const { state } = await manager.streams.info(MQTT_STREAM, { subjects_filter: subject });
      const consumer = await jetstream(connection).consumers.get(MQTT_STREAM, { filter_subjects: subject });
      const texts: string[] = [];
      const count = state.subjects?.[subject] ?? 0;
      if (count === 0) return texts;
      for await (const message of await consumer.fetch({ max_messages: count, expires: 10_000 })) {
        texts.push(message.string());
      }
      return texts;
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
      const take = (message: { subject: string; payload: Uint8Array }) => {
        heard.push({ subject: message.subject, text: Buffer.from(message.payload).toString() });
      };
      stack.use(await bus.listen(subject, take));
      return heard;
    },
    async stored() {
      throw new Error('the local bus gives the stream of messages to nobody outside');
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
