/**
 * A downstream system: follows the fleet with an ordinary NATS client.
 *   node examples/01-follow-events.ts nats://localhost:4222 DEVICE_CONNECTED 1
 */
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const [server = 'nats://localhost:4222', type = '*', count = 'Infinity'] = process.argv.slice(2);
const nats = await connect({ servers: server });
const consumer = await jetstream(nats).consumers.get('SIGNET_EVENTS', {
  filter_subjects: `signet.event.*.*.${type}.*`,
});

let left = Number(count);
for await (const message of await consumer.consume()) {
  const event = message.json<{
    time: string;
    type: string;
    account: string;
    subject: string;
    data: object;
  }>();
  console.log(`${event.time} ${event.type} ${event.account}/${event.subject} ${JSON.stringify(event.data)}`);
  if (--left <= 0) break;
}
await nats.close();
