import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { backoffMs } from '@signet/async';
import { MQTT_DOWN_STREAM, PARTITIONS } from '@signet/contracts';
import type { DownlinkHandler, Subscription } from '../bus.ts';
import type { Log } from '../log.ts';
import type { Connected, Link } from './link.ts';
import { downFilter, sentSubject } from './streams.ts';
import { supervise } from './supervise.ts';

/** After a replica's death its message goes to another one this late at most, ms. */
const ACK_WAIT_MS = 5000;

type Parts = { readonly link: Link; readonly log: Log; readonly ackWaitMs: number };

/**
 * One durable for each partition with one message in flight, shared by all replicas: messages of a device come in their
 * order, whichever replica has them.
 */
export async function consumeDownlink(parts: Parts, handler: DownlinkHandler): Promise<Subscription> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const lanes = await Promise.all(partitions.map((partition) => takePartition(parts, handler, partition)));
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(lanes.map((lane) => lane[Symbol.asyncDispose]()));
    },
  };
}

function takePartition(parts: Parts, handler: DownlinkHandler, partition: number): Promise<Subscription> {
  const ackWaitMs = Math.min(parts.ackWaitMs, ACK_WAIT_MS);
  let running: Promise<void> | undefined;
  return supervise(parts, `messages for devices, partition ${partition}`, {
    async start(connected, { signal, started }) {
      const messages = await openMessages(connected, partition, ackWaitMs);
      const stop = () => messages.stop();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      started();
      try {
        for await (const message of messages) {
          running = take(message, handler, parts.log, ackWaitMs);
          await running;
        }
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    stop: async () => await running,
  });
}

async function openMessages(
  { jsm, js }: Connected,
  partition: number,
  ackWaitMs: number,
): Promise<ConsumerMessages> {
  const info = await jsm.consumers.add(MQTT_DOWN_STREAM, {
    durable_name: `mqtt-broker-down-p${partition}`,
    filter_subject: downFilter(partition),
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWaitMs),
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    max_ack_pending: 1,
    max_deliver: -1,
  });
  return js.consumers.getConsumerFromInfo(info).consume({
    max_messages: 1,
    abort_on_missing_resource: true,
    expires: 30_000,
    idle_heartbeat: 5000,
  });
}

/** A stream that is made anew counts from 1 again: its clock tells its messages from those of before. */
function idOf({ seq, timestampNanos }: JsMsg): string {
  return `${seq}-${timestampNanos}`;
}

async function take(message: JsMsg, handler: DownlinkHandler, log: Log, ackWaitMs: number): Promise<void> {
  const keepAlive = setInterval(() => message.working(), ackWaitMs / 3);
  const subject = sentSubject(message.subject);
  try {
    await handler({ subject, payload: message.data, id: idOf(message) });
    message.ack();
  } catch (err) {
    const attempt = message.info.deliveryCount;
    if (attempt === 1 || attempt % 10 === 0)
      log.warn({ err, subject, attempt }, 'a message for a device waits');
    message.nak(backoffMs(attempt, { firstMs: 100, lastMs: 5000 }));
  } finally {
    clearInterval(keepAlive);
  }
}
