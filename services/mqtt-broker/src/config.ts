import { commonConfig, port, wholeNumber } from '@signet/service';
import type { z } from 'zod';

/** Configuration of the MQTT broker. */
export const mqttBrokerConfig = commonConfig.extend({
  SIGNET_MQTT_PORT: port(8883).describe('Port of MQTT for operational certificates (TLS, mutual)'),
  SIGNET_MQTT_PROVISIONING_PORT: port(8884).describe(
    'Port of MQTT for the provisioning exchange (TLS, mutual, with user name and password)',
  ),
  SIGNET_MQTT_MAX_PACKET_BYTES: wholeNumber(262_144, 1024, 268_435_455).describe(
    'Largest packet that a device may send; a larger one ends its session. Over NATS its payload must also be below the `max_payload` of the server (1 MiB by default)',
  ),
  SIGNET_MQTT_MAX_KEEPALIVE_SECONDS: wholeNumber(1200, 10, 65_535).describe(
    'Longest keep-alive by which alone a device that is gone is found out. Every keep-alive is accepted, and enforced at one and a half times; where it is longer than this, or 0, TCP keep-alive asks the device after as long',
  ),
  SIGNET_MQTT_MAX_SUBSCRIPTIONS: wholeNumber(100, 1).describe('Subscriptions that one device may hold'),
  SIGNET_MQTT_MAX_UNRELEASED: wholeNumber(1000, 1, 65_535).describe(
    'QoS 2 messages that one device may have sent and not released, over all its connections; one more ends its session',
  ),
  SIGNET_MQTT_MAX_WILL_BYTES: wholeNumber(65_536, 0, 268_435_455).describe(
    'Largest payload of a will; a CONNECT with a larger one is refused',
  ),
  SIGNET_MQTT_MAX_QUEUED: wholeNumber(1000, 1, 1000).describe(
    'QoS 1 messages that wait for one device; further ones are dropped',
  ),
  SIGNET_MQTT_MAX_QUEUED_BYTES: wholeNumber(4_194_304, 1024).describe(
    'Bytes of QoS 1 messages that wait for one device; further ones are dropped',
  ),
  SIGNET_MQTT_MAX_UNSENT_BYTES: wholeNumber(1_048_576, 16_384).describe(
    'Bytes that may wait in the connection of a device that does not read them; with more its session ends',
  ),
  SIGNET_MQTT_DRAIN_PER_SECOND: wholeNumber(500, 1).describe(
    'Sessions that a stopping node ends in a second, or as many more as it takes to be done in time',
  ),
  SIGNET_MQTT_QUEUED_SECONDS: wholeNumber(604_800, 1).describe('How long a message waits for its device'),
  SIGNET_MQTT_CONNECTS_PER_MINUTE: wholeNumber(60, 1).describe(
    'Connections that one device may open in a minute',
  ),
  SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE: wholeNumber(3000, 1).describe(
    'Connections that one network address may open in a minute; many devices may share one',
  ),
  SIGNET_MQTT_PROVISIONING_PER_MINUTE: wholeNumber(10, 1).describe(
    'Attempts at the provisioning exchange that one device may make in a minute',
  ),
  SIGNET_MQTT_PROVISIONING_PER_ADDRESS_PER_MINUTE: wholeNumber(300, 1).describe(
    'Attempts at the provisioning exchange that one network address may make in a minute',
  ),
  SIGNET_MQTT_PROVISIONING_CONNECTIONS: wholeNumber(200, 1).describe(
    'Provisioning exchanges at a time, of devices whose certificate is admitted; a further one is told that the server is unavailable',
  ),
  SIGNET_MQTT_PROVISIONING_SECONDS: wholeNumber(60, 5, 600).describe(
    'How long one provisioning exchange may take before its connection is closed',
  ),
  SIGNET_MQTT_STORE_SECONDS: wholeNumber(10, 1, 300).describe(
    'How long a QoS 1 message may wait for the bus before the session ends unacknowledged',
  ),
});
export type MqttBrokerConfig = z.output<typeof mqttBrokerConfig>;

/** The bounds of the broker, as its parts name them. */
export function limitsOf(config: MqttBrokerConfig) {
  return {
    packetBytes: config.SIGNET_MQTT_MAX_PACKET_BYTES,
    keepAliveSeconds: config.SIGNET_MQTT_MAX_KEEPALIVE_SECONDS,
    inFlight: config.SIGNET_MQTT_MAX_UNRELEASED,
    willBytes: config.SIGNET_MQTT_MAX_WILL_BYTES,
    subscriptions: config.SIGNET_MQTT_MAX_SUBSCRIPTIONS,
    unreleased: config.SIGNET_MQTT_MAX_UNRELEASED,
    waiting: { messages: config.SIGNET_MQTT_MAX_QUEUED, bytes: config.SIGNET_MQTT_MAX_QUEUED_BYTES },
    unsentBytes: config.SIGNET_MQTT_MAX_UNSENT_BYTES,
    drainPerSecond: config.SIGNET_MQTT_DRAIN_PER_SECOND,
    stopSeconds: config.SIGNET_STOP_SECONDS,
  };
}
