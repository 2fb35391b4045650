import { type Bundle, deviceTopic } from '@signet/contracts';
import mqtt, { type MqttClient } from 'mqtt';
import { AgentError } from './agent-error.ts';
import type { Identity } from './device-folder.ts';

/** One MQTT session of the device. */
export interface MqttSession extends AsyncDisposable {
  /** Publishes below `up/`, QoS 1: resolves with the broker's acknowledgement. */
  publish(levels: readonly string[], payload: string): Promise<void>;
  /** Receives what comes below `down/`; `levels` are those after it. */
  onMessage(listener: (levels: string[], payload: Buffer) => void): void;
  /** Resolves when the session has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

const CONNECT_TIMEOUT_MS = 30_000;

/**
 * Connects to the broker with the operational certificate, and subscribes to the device's own `down/#`.
 * @throws AgentError `refused` (CONNACK, or the connection closed in the middle of the greeting), `unreachable`
 */
export async function openMqttSession(bundle: Bundle, identity: Identity): Promise<MqttSession> {
  const { account, deviceId } = bundle;
  const client = mqtt.connect(bundle.mqtt.url, {
    clientId: bundle.mqtt.clientId,
    key: identity.key,
    cert: identity.certificate,
    ca: bundle.trustAnchors.join('\n'),
    rejectUnauthorized: true,
    reconnectPeriod: 0,
    clean: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: 60,
  });
  const ended = new Promise<void>((resolve) => client.once('close', () => resolve()));
  await connected(client, bundle.mqtt.url);
  client.on('error', () => client.end(true));
  const topic = (levels: readonly string[], way: 'up' | 'down') =>
    deviceTopic({ account, device: deviceId, way, levels });
  await client.subscribeAsync(topic(['#'], 'down'), { qos: 1 });
  const prefix = topic([''], 'down');
  return {
    publish: async (levels, payload) => {
      await client.publishAsync(topic(levels, 'up'), payload, { qos: 1 });
    },
    onMessage: (listener) => {
      client.on('message', (name, payload) => listener(name.slice(prefix.length).split('/'), payload));
    },
    ended,
    [Symbol.asyncDispose]: async () => {
      client.end(!client.connected);
      await ended;
    },
  };
}

function connected(client: MqttClient, url: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once('connect', () => resolve());
  client.once('error', (cause) => {
    const isRefused = 'code' in cause && typeof cause.code === 'number';
    const message = `${new URL(url).host}: ${cause.message}`;
    client.end(true);
    reject(new AgentError(isRefused ? 'refused' : 'unreachable', message, { cause }));
  });
  client.once('close', () => {
    reject(new AgentError('refused', `${new URL(url).host}: the broker closed the connection`));
  });
  return promise;
}
