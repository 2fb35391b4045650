import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import {
  connectionsOf,
  type DeviceServiceDeps,
  instanceName,
  openConfiguredCertificate,
  type RunningService,
} from '@signet/service';
import type { Redis } from 'ioredis';
import { attemptsPerMinute, byNetwork } from './adapters/attempt-limit.ts';
import { cleanSessions } from './adapters/clean-sessions.ts';
import { PeerEmitter } from './adapters/peer-emitter.ts';
import { credentialCheck, provisioningService } from './adapters/provisioning-service.ts';
import { openRedisSessions } from './adapters/redis-sessions.ts';
import { SessionEvents } from './adapters/session-events.ts';
import { openSqliteSessions } from './adapters/sqlite-sessions.ts';
import { openCollections } from './collections.ts';
import { limitsOf, type MqttBrokerConfig } from './config.ts';
import { eraseDeletedAccounts } from './consumers/accounts.ts';
import { followDepartures } from './consumers/departures.ts';
import { listenShared, openMailboxes, takeStored, uplinkTo } from './consumers/device-messages.ts';
import type { SessionStore } from './domain/session/session-store.ts';
import { sessionKey } from './domain/topic/topic-rules.ts';
import { DeviceBroker } from './mqtt/device-broker.ts';
import { ProvisioningBroker } from './mqtt/provisioning-broker.ts';
import { listenTls, type TlsListener } from './mqtt/tls-listener.ts';
import { AccountPolicies } from './rpc/account-policies.ts';
import { NodeCalls } from './rpc/nodes.ts';

/** Starts the broker. Its ports are `mqtt` and `mqttProvisioning`. */
export async function startMqttBroker(
  config: MqttBrokerConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { store: documents, bus, log, now, health, metrics, admission } = deps;
  await using stack = new AsyncDisposableStack();
  const certificate = stack.use(await openConfiguredCertificate('mqtt-broker', config, deps));
  const isAlone = config.SIGNET_REDIS === undefined;
  const { store, redis } = await openSessions(config, { now, log });
  stack.use(store);
  stack.use(health.register('mqtt-broker.sessions', () => store.failure()));
  const events = stack.use(new SessionEvents({ bus, log, now, node: instanceName(config) }));
  const node = randomUUID();
  let opened: DeviceBroker | undefined;
  const peers = stack.use(
    await PeerEmitter.open({
      ...{ bus, log, node },
      claimOf: (key) => broker.claimOf(key),
      connected: (key, claim) => void opened?.giveUp(key, claim),
    }),
  );
  const clean = redis && stack.use(cleanSessions({ redis, node, log }));
  const calls = stack.use(
    await NodeCalls.open({
      ...{ bus, log, node },
      more: (key) => broker.messages.refresh(key),
      giveUp: (key, claim) => broker.giveUp(key, claim),
    }),
  );
  const messages = metrics.counter<{ account: string; direction: string }>(
    'signet_mqtt_messages_total',
    'MQTT messages by account and direction: up from devices, down to devices, dropped for want of room',
  );
  const file = join(config.SIGNET_DATA_DIR, 'mqtt-policies.json');
  const policies = stack.use(
    await AccountPolicies.open({
      ...{ bus, log, now, file },
      collection: async () => (await openCollections(documents)).policies,
    }),
  );
  const attempts = (name: string, perMinute: number) => attemptsPerMinute(name, perMinute, redis);
  const mailboxes = stack.use(
    await openMailboxes({
      ...{ bus, clean },
      deliver: (...message) => void broker.messages.deliver(...message),
      put: (...message): Promise<boolean> => broker.messages.put(...message),
      // from then on nobody else puts messages into its queue without telling
      missed: (owner, renewed) => {
        const look = () => broker.messages.refresh(sessionKey(owner));
        renewed.then(look, () => {});
      },
    }),
  );
  const broker: DeviceBroker = stack.use(
    await DeviceBroker.open({
      ...{ log, now, store, mailboxes, mq: peers, node, isAlone },
      tell: (to, key) => calls.tell(to, key),
      takeOver: (from, key, claim) => calls.takeOver(from, key, claim),
      gate: admission.gate({ listener: 'mqtt', purposes: ['operational'], lasting: true }),
      refusals: admission.refusals,
      connected: (session) => events.connected(session),
      disconnected: (session, reason) => events.disconnected(session, reason),
      up: uplinkTo(bus, config.SIGNET_MQTT_STORE_SECONDS * 1000),
      isDenied: (owner) => admission.denyList.denied({ ...nothingElse, ...owner }) !== undefined,
      counted: (account, direction, count) => messages.add({ account, direction }, count),
      policyOf: (account) => policies.of(account),
      checkCredentials: credentialCheck(bus),
      connects: {
        device: attempts('mqtt-device', config.SIGNET_MQTT_CONNECTS_PER_MINUTE),
        address: byNetwork(attempts('mqtt-address', config.SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE)),
      },
      limits: limitsOf(config),
    }),
  );
  opened = broker;
  stack.use(await followDepartures({ bus, store, node }));
  stack.use(await eraseDeletedAccounts({ bus, store, collections: () => openCollections(documents), node }));
  stack.use(await takeStored({ bus, log, clean, put: (...message) => broker.messages.put(...message) }));
  stack.use(
    await listenShared(bus, (account, topic, payload) =>
      broker.messages.deliverShared(account, topic, payload),
    ),
  );
  stack.use(
    metrics.gauges('signet_mqtt_sessions', 'MQTT sessions of this node by account', () =>
      Array.from(broker.sessionsByAccount(), ([account, count]) => [{ account }, count] as const),
    ),
  );
  const provisioning = stack.use(
    await ProvisioningBroker.open({
      log,
      gate: admission.gate({ listener: 'mqtt-provisioning', purposes: ['bootstrap'] }),
      refusals: admission.refusals,
      service: provisioningService(bus),
      attempts: {
        device: attempts('provisioning-device', config.SIGNET_MQTT_PROVISIONING_PER_MINUTE),
        address: byNetwork(
          attempts('provisioning-address', config.SIGNET_MQTT_PROVISIONING_PER_ADDRESS_PER_MINUTE),
        ),
      },
      exchangeMs: config.SIGNET_MQTT_PROVISIONING_SECONDS * 1000,
      maxExchanges: config.SIGNET_MQTT_PROVISIONING_CONNECTIONS,
    }),
  );
  const common = { certificate, log, host: config.SIGNET_BIND };
  const mqtt = await listenTls({
    ...common,
    port: config.SIGNET_MQTT_PORT,
    connections: connectionsOf(config, deps, 'mqtt'),
    onConnection: (socket) => broker.accept(socket),
  });
  stack.defer(() => stop(mqtt, broker));
  const mqttProvisioning = await listenTls({
    ...common,
    port: config.SIGNET_MQTT_PROVISIONING_PORT,
    connections: connectionsOf(config, deps, 'mqtt-provisioning'),
    onConnection: (socket) => provisioning.accept(socket),
  });
  stack.defer(() => stop(mqttProvisioning, provisioning));
  const rest = stack.move();
  return {
    ports: { mqtt: mqtt.port, mqttProvisioning: mqttProvisioning.port },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** All that a stored will tells of its device. */
const nothingElse = { fingerprint: '', publicKeyHash: '', serialNumber: '', issuerKeyId: '' };

/** Nodes that share a Redis share their sessions; a node without one has its own. */
async function openSessions(
  config: MqttBrokerConfig,
  { now, log }: Pick<DeviceServiceDeps, 'now' | 'log'>,
): Promise<{ readonly store: SessionStore & AsyncDisposable; readonly redis: Redis | undefined }> {
  const { SIGNET_REDIS: url, SIGNET_DATA_DIR: dataDir, SIGNET_MQTT_QUEUED_SECONDS: messageSeconds } = config;
  if (url === undefined) {
    const path = join(dataDir, 'mqtt-sessions.db');
    return { store: await openSqliteSessions({ path, messageSeconds, now }), redis: undefined };
  }
  const store = openRedisSessions({ url, log, messageSeconds, now });
  return { store, redis: store.redis };
}

/** No new connection first; then the broker ends its sessions with a reason; then what is left. */
async function stop(listener: TlsListener, broker: AsyncDisposable): Promise<void> {
  const stopped = listener.stop();
  await broker[Symbol.asyncDispose]();
  listener.cut();
  await stopped;
}
