import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { MQTT_STREAM } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { expect, it, vi } from 'vitest';
import { openNatsBus } from './open.ts';

const binary = requireServer('nats-server');

it.skipIf(binary === '')(
  'a stream of an earlier version, which kept messages for devices too, leaves them to the stream of their own; what it has stays',
  async () => {
    await using nats = await startNats(binary);
    const connection = await connect({ servers: nats.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({
      name: MQTT_STREAM,
      subjects: ['signet.stored.mqtt.>'],
      subject_transform: { src: 'signet.stored.mqtt.>', dest: 'signet.mqtt.>' },
      republish: { src: 'signet.mqtt.>', dest: 'signet.mqtt.>' },
      max_bytes: 1_000_000,
    });
    await jetstream(connection).publish('signet.stored.mqtt.acme.dev-1.up.x', 'before');

    await using bus = await openNatsBus({ url: nats.url, name: 'newer' });
    const taken: string[] = [];
    await bus.consumeDownlink(async ({ subject, payload }) => {
      taken.push(`${subject} ${new TextDecoder().decode(payload)}`);
    });
    const bytes = (text: string) => new TextEncoder().encode(text);
    await bus.send('signet.mqtt.acme.dev-1.down.x', bytes('down'), { stored: true });
    await bus.send('signet.mqtt.acme.dev-1.up.x', bytes('up'), { stored: true });
    await vi.waitFor(() => expect(taken).toEqual(['signet.mqtt.acme.dev-1.down.x down']), 20_000);
    const { state, config } = await manager.streams.info(MQTT_STREAM, { subjects_filter: '>' });
    expect(state.subjects).toEqual({ 'signet.mqtt.acme.dev-1.up.x': 2 });
    expect(config.max_bytes).toBe(1_000_000);
    await connection.close();
  },
);
