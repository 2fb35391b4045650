import {
  type DeviceServiceDeps,
  instanceName,
  openServerCertificate,
  type RunningService,
} from '@signet/service';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { MqttBrokerConfig } from './config.ts';
import { bridgeDown, bridgeUp } from './messaging/bridge.ts';
import { SessionEvents } from './messaging/session-events.ts';
import { DeviceBroker } from './mqtt/device-broker.ts';
import { listenTls } from './mqtt/tls-server.ts';

/** Starts the broker. Its port is `mqtt`. */
export async function startMqttBroker(
  config: MqttBrokerConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { bus, log, now, health, door } = deps;
  await using stack = new AsyncDisposableStack();
  const certificate = stack.use(
    await openServerCertificate({
      ...{ log, now, health },
      service: 'mqtt-broker',
      names: config.SIGNET_SERVER_NAMES,
      dataDir: config.SIGNET_DATA_DIR,
      issue: bus,
    }),
  );
  const events = stack.use(new SessionEvents({ bus, log, now, node: instanceName(config) }));
  const bridge = bridgeUp(bus, config.SIGNET_MQTT_STORE_SECONDS * 1000);
  const broker = stack.use(
    await DeviceBroker.open({
      ...{ log, now },
      gate: door.gate({ listener: 'mqtt', purposes: ['operational'] }),
      refusals: door.refusals,
      connected: (session) => events.connected(session),
      disconnected: (session, reason) => events.disconnected(session, reason),
      up: (session, levels, payload, stored) => bridge.up(session.owner, levels, payload, stored),
      connectRate: new RateLimiterMemory({ points: config.SIGNET_MQTT_CONNECTS_PER_MINUTE, duration: 60 }),
      limits: {
        packetBytes: config.SIGNET_MQTT_MAX_PACKET_BYTES,
        keepAliveSeconds: config.SIGNET_MQTT_MAX_KEEPALIVE_SECONDS,
        subscriptions: config.SIGNET_MQTT_MAX_SUBSCRIPTIONS,
      },
    }),
  );
  stack.use(await bridgeDown(bus, (topic, payload) => broker.deliver(topic, payload)));
  const listener = stack.use(
    await listenTls({
      ...{ certificate, log },
      port: config.SIGNET_MQTT_PORT,
      host: config.SIGNET_BIND,
      onConnection: (socket) => broker.accept(socket),
    }),
  );
  const rest = stack.move();
  return { ports: { mqtt: listener.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
