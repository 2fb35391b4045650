import type { EventType, SignetEvent } from '@signet/contracts';
import type { TestIdentity } from '@signet/pki/testing';
import { parseConfig, type RunningService } from '@signet/service';
import { type FixtureOptions, openTestFixture, type TestFixture } from '@signet/service/testing';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { vi } from 'vitest';
import { startMqttBroker } from '../src/app.ts';
import { mqttBrokerConfig } from '../src/config.ts';

/** A running broker on embedded store and bus, and what devices do to it. */
export type BrokerFixture = AsyncDisposable & {
  readonly fixture: TestFixture;
  readonly service: RunningService;
  readonly port: number;
  readonly provisioningPort: number;
  /** Everything that the broker told the platform, in order. */
  readonly events: readonly SignetEvent[];
  /** The first event that `which` picks, waited for. */
  event<T extends EventType>(type: T, which?: (event: SignetEvent<T>) => boolean): Promise<SignetEvent<T>>;
  /** An MQTT client that does not reconnect; its client id is the device id of its certificate. */
  client(identity: TestIdentity, options?: IClientOptions & { at?: number }): MqttClient;
  /** The same, connected. */
  connected(identity: TestIdentity, options?: IClientOptions & { at?: number }): Promise<MqttClient>;
  /** Stops the broker and starts it again on the same store and bus, on another port. */
  restart(): Promise<void>;
  /** Return code of the CONNACK that refuses this client. */
  refusal(identity: TestIdentity, options?: IClientOptions & { at?: number }): Promise<number>;
};

export const until = (check: () => void | Promise<void>) =>
  vi.waitFor(check, { timeout: 15_000, interval: 10 });

/** What this client receives from now on: topic and text. */
export function messagesOf(client: MqttClient): [string, string][] {
  const messages: [string, string][] = [];
  client.on('message', (topic, payload) => messages.push([topic, payload.toString()]));
  return messages;
}

/** Resolves when the connection is gone. */
export function closeOf(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

export async function openBrokerFixture(
  options: FixtureOptions & {
    readonly env?: Record<string, string>;
    /** Stands between the broker and the bus. */
    readonly wrapBus?: (bus: TestFixture['deps']['bus']) => TestFixture['deps']['bus'];
  } = {},
): Promise<BrokerFixture> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await openTestFixture({ admission: { refuseWhenStale: false }, ...options }));
  const { bus } = fixture.deps;
  const events: SignetEvent[] = [];
  stack.use(
    await bus.tail(
      {
        types: ['DEVICE_CONNECTED', 'DEVICE_DISCONNECTED', 'DEVICE_REFUSED', 'BOOTSTRAP_REFUSED'],
        from: 'start',
      },
      (event) => void events.push(event),
    ),
  );
  const config = parseConfig(mqttBrokerConfig, {
    SIGNET_DATA_DIR: fixture.dataDir,
    SIGNET_MQTT_PORT: '0',
    SIGNET_MQTT_PROVISIONING_PORT: '0',
    SIGNET_BIND: '127.0.0.1',
    ...options.env,
  });
  const start = () => startMqttBroker(config, { ...fixture.deps, bus: options.wrapBus?.(bus) ?? bus });
  let service = await start();
  stack.defer(() => service[Symbol.asyncDispose]());
  const portOf = (name: 'mqtt' | 'mqttProvisioning') => service.ports[name] ?? 0;
  const clients = stack.adopt(new Set<MqttClient>(), (all) => {
    for (const client of all) client.end(true);
  });
  const client: BrokerFixture['client'] = (identity, { at = portOf('mqtt'), ...rest } = {}) => {
    const opened = connect(`mqtts://127.0.0.1:${at}`, {
      ca: fixture.pki.trustAnchors,
      cert: identity.cert,
      key: identity.key,
      clientId: identity.certificate.subject.commonName ?? '',
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      ...rest,
    });
    clients.add(opened);
    opened.on('error', () => {});
    return opened;
  };
  const rest = stack.move();
  return {
    ...{ fixture, events, client },
    get service() {
      return service;
    },
    get port() {
      return portOf('mqtt');
    },
    get provisioningPort() {
      return portOf('mqttProvisioning');
    },
    async restart() {
      await service[Symbol.asyncDispose]();
      service = await start();
    },
    async connected(identity, clientOptions) {
      const opened = client(identity, clientOptions);
      await new Promise<void>((resolve, reject) => {
        opened.once('connect', () => resolve());
        opened.once('error', reject);
        opened.once('close', () => reject(new Error('closed before CONNACK')));
      });
      return opened;
    },
    refusal(identity, clientOptions) {
      const opened = client(identity, clientOptions);
      return new Promise((resolve, reject) => {
        opened.on('packetreceive', (packet) => {
          if (packet.cmd === 'connack') resolve(packet.returnCode ?? -1);
        });
        opened.once('close', () => reject(new Error('closed without CONNACK')));
      });
    },
    async event(type, which = () => true) {
      return await vi.waitFor(
        () => {
          const found = events.find(
            (event) => event.type === type && which(event as SignetEvent<typeof type>),
          );
          if (found === undefined) {
            const seen = events.map(({ type: name, data }) => `${name} ${JSON.stringify(data)}`);
            throw new Error(`no such ${type} among:\n${seen.join('\n')}`);
          }
          return found as SignetEvent<typeof type>;
        },
        { timeout: 15_000, interval: 10 },
      );
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
