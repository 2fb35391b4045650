import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { MQTT_STREAM } from '@signet/contracts';

/** What devices sent up with QoS 1, as the bus has kept it: the texts of each device, in their order. */
export async function storedUp(natsUrl: string): Promise<Map<string, string[]>> {
  const connection = await connect({ servers: natsUrl });
  try {
    const stored = new Map<string, string[]>();
    const consumer = await jetstream(connection).consumers.get(MQTT_STREAM);
    for (let isMore = true; isMore; ) {
      isMore = false;
      for await (const message of await consumer.fetch({ max_messages: 500, expires: 1000 })) {
        isMore = true;
        const device = message.subject.split('.')[3] ?? '';
        stored.set(device, [...(stored.get(device) ?? []), message.string()]);
      }
    }
    return stored;
  } finally {
    await connection.close();
  }
}
