import { type Bundle, deviceTopic } from '@signet/contracts';
import mqtt, { type IClientOptions, MqttClient } from 'mqtt';
import { AgentError } from './agent-error.ts';
import { clockNow } from './clock.ts';
import type { Identity } from './identity.ts';
import { dialByHolder } from './keys/dial.ts';
import { pause, within } from './pause.ts';
import { connectUnclocked, isClockBehind, timeByServer } from './unclocked-tls.ts';

/** One MQTT session of the device. */
export interface MqttSession extends AsyncDisposable {
  /** Publishes below `up/`, QoS 1: resolves with the broker's acknowledgement. @throws AgentError `unreachable` */
  publish(levels: readonly string[], payload: string | Uint8Array): Promise<void>;
  /** Resolves when the session has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

/** What comes below `down/`; `levels` are those after it. */
export type MessageListener = (levels: string[], payload: Buffer) => void;

const ANSWER_MS = 30_000;
const FAREWELL_MS = 2000;
/** CONNACK code "server unavailable" (MQTT 3.1.1 §3.2.2.3): the one that passes by itself. */
const SERVER_UNAVAILABLE = 3;

/**
 * Connects to the broker with the operational certificate, and subscribes to the device's own `down/#`. The listener is
 * in place before the broker can send what it kept for the device.
 * @throws AgentError `refused` where the broker says so, `unreachable` for all that may pass
 */
export async function openMqttSession(
  bundle: Bundle,
  identity: Identity,
  options: {
    readonly onMessage?: MessageListener;
    readonly signal?: AbortSignal | undefined;
    /** What the broker says on `up/status` if the connection breaks. */
    readonly will?: string;
    /** How long the broker may take for CONNACK, and again for SUBACK, ms. Default 30 s. */
    readonly answerMs?: number;
  } = {},
): Promise<MqttSession> {
  const { account, deviceId } = bundle;
  const { answerMs = ANSWER_MS } = options;
  const { host } = new URL(bundle.mqtt.url);
  const topic = (levels: readonly string[], way: 'up' | 'down') =>
    deviceTopic({ account, device: deviceId, way, levels });
  options.signal?.throwIfAborted();
  const settings = {
    clientId: bundle.mqtt.clientId,
    ...(identity.holder === undefined ? { key: identity.key, cert: identity.certificate } : {}),
    ca: bundle.trustAnchors.join('\n'),
    rejectUnauthorized: true,
    reconnectPeriod: 0,
    clean: false,
    connectTimeout: answerMs,
    keepalive: 60,
    ...(options.will === undefined
      ? {}
      : { will: { topic: topic(['status'], 'up'), payload: Buffer.from(options.will), qos: 1 as const } }),
    ...credentialsOf(bundle),
  };
  const client = await clientOf(bundle, identity, settings, options.signal);
  const ended = new Promise<void>((resolve) => client.once('close', () => resolve()));
  const kill = () => client.end(true);
  options.signal?.addEventListener('abort', kill, { once: true });
  const all = topic(['#'], 'down');
  client.on('message', (name, payload) =>
    options.onMessage?.(name.slice(all.length - 1).split('/'), payload),
  );
  try {
    await connected(client, host);
    client.on('error', kill);
    await inTime(
      orEnded(client.subscribeAsync(all, { qos: 1 }), ended, host),
      answerMs,
      `${host}: no SUBACK`,
    );
  } catch (error) {
    kill();
    if (isClockBehind(error)) await timeByServer(bundle.mqtt.url, { defaultPort: 8883, trust: settings.ca });
    throw error instanceof AgentError
      ? error
      : new AgentError('refused', `${host}: ${all}: ${textOf(error)}`, { cause: error });
  } finally {
    options.signal?.removeEventListener('abort', kill);
  }
  return {
    publish: async (levels, payload) => {
      const bytes = typeof payload === 'string' ? payload : Buffer.from(payload);
      await orEnded(client.publishAsync(topic(levels, 'up'), bytes, { qos: 1 }), ended, host);
    },
    ended,
    [Symbol.asyncDispose]: async () => {
      client.end(!client.connected);
      await within(FAREWELL_MS, ended);
      client.end(true);
    },
  };
}

/** Where the account wants a second factor besides the certificate. */
function credentialsOf({ mqtt: { username, password } }: Bundle) {
  return username === undefined || password === undefined ? {} : { username, password };
}

/** On a device whose clock was never set, the connection is verified by other means than the time (F60). */
async function clientOf(
  bundle: Bundle,
  identity: Identity,
  settings: IClientOptions,
  signal: AbortSignal | undefined,
): Promise<MqttClient> {
  const trust = bundle.trustAnchors.join('\n');
  const held = await dialByHolder(identity, { url: bundle.mqtt.url, defaultPort: 8883, trust });
  if (held !== undefined) {
    const client = new MqttClient(() => held, settings);
    // as the client does for connections of its own
    client.on('error', () => {});
    held.on('error', (error) => client.emit('error', error));
    return client;
  }
  if (clockNow() !== undefined) return mqtt.connect(bundle.mqtt.url, settings);
  const { hostname, port, host } = new URL(bundle.mqtt.url);
  const server = { host: hostname, port: Number(port) || 8883, trust: bundle.trustAnchors.join('\n') };
  try {
    const socket = await connectUnclocked({ ...server, identity, signal, timeoutMs: ANSWER_MS });
    return new MqttClient(() => socket, settings);
  } catch (cause) {
    throw new AgentError('unreachable', `${host}: ${textOf(cause)}`, { cause });
  }
}

function connected(client: MqttClient, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once('connect', () => resolve());
  client.once('error', (cause) => {
    const code = isRefusal(cause) ? 'refused' : 'unreachable';
    reject(new AgentError(code, `${host}: ${cause.message}`, { cause }));
  });
  client.once('close', () => {
    reject(new AgentError('unreachable', `${host}: the connection closed before the broker answered`));
  });
  return promise;
}

/** A CONNACK that refuses (its code is a number), or a TLS alert about the certificate, as other brokers send. */
function isRefusal(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'number') return code !== SERVER_UNAVAILABLE;
  return typeof code === 'string' && /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code);
}

/** @throws AgentError `unreachable` where it takes too long, though the broker answers pings */
async function inTime<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const over = new AbortController();
  const late = pause(ms, over.signal).then(() => {
    throw new AgentError('unreachable', `${what} within ${ms / 1000} s`);
  });
  // what comes after the race has been decided is nobody's
  late.catch(() => {});
  return await Promise.race([work, late]).finally(() => over.abort());
}

/** What the client leaves unsettled when the connection ends fails here. */
function orEnded<T>(done: Promise<T>, ended: Promise<void>, host: string): Promise<T> {
  const cut = ended.then(() => {
    throw new AgentError('unreachable', `${host}: the connection ended`);
  });
  return Promise.race([done, cut]);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
