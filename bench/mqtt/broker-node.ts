import process from 'node:process';
import { startMqttBroker } from '@signet/mqtt-broker';
import { mqttBrokerConfig } from '@signet/mqtt-broker/config';
import { parseConfig } from '@signet/service';
import { openTestFixture } from '@signet/service/testing';
import { ACCOUNT } from './account.ts';

/**
 * One broker node with full admission (pinned CAs, deny list) in a process of its own. Environment: `BENCH_BUS`
 * (`local` or a NATS URL), `BENCH_FIRST` (`no`: it asks the first node for CAs and deny list), `SIGNET_REDIS`.
 */
export type Asked =
  | { readonly ask: 'pki'; readonly devices: number }
  /** Collects garbage first. */
  | { readonly ask: 'state' };

export type NodeState = {
  readonly heapBytes: number;
  /** Open connections. */
  readonly connections: number;
  /** `<account>.<device>` of all that published. */
  readonly publishers: readonly string[];
};

/** What a client connects with, PEM. */
export type Identity = { readonly deviceId: string; readonly cert: string; readonly key: string };
export type Pki = {
  readonly anchors: string;
  readonly issuers: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly devices: readonly Identity[];
};

const { BENCH_BUS: bus = 'local', BENCH_FIRST: isFirst = 'yes' } = process.env;
const fixture = await openTestFixture({
  bus,
  admission: { refuseWhenStale: false },
  ...(isFirst === 'yes' ? {} : { serve: [] }),
});
const config = parseConfig(mqttBrokerConfig, {
  ...process.env,
  SIGNET_DATA_DIR: fixture.dataDir,
  SIGNET_BIND: '127.0.0.1',
  SIGNET_MQTT_PORT: '0',
  SIGNET_MQTT_PROVISIONING_PORT: '0',
  SIGNET_MQTT_CONNECTS_PER_MINUTE: '1000000',
  SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE: '1000000',
});
const service = await startMqttBroker(config, fixture.deps);
const publishers = new Set<string>();
if (process.env.BENCH_WATCH === 'yes')
  await fixture.deps.bus.listen('signet.mqtt.>', ({ subject }) => {
    publishers.add(subject.split('.').slice(2, 4).join('.'));
  });
const pki = (count: number): Pki => {
  const { cert, key } = fixture.pki.serverIdentity();
  const devices = Array.from({ length: count }, (_, i) => {
    const deviceId = `dev-${i}`;
    const identity = fixture.pki.operational(ACCOUNT, deviceId);
    return { deviceId, cert: identity.cert, key: identity.key };
  });
  return {
    anchors: fixture.pki.trustAnchors,
    issuers: fixture.pki.issuing.pem,
    server: { cert, key },
    devices,
  };
};

process.on('message', (asked: Asked) => {
  if (asked.ask === 'pki') process.send?.({ value: pki(asked.devices) });
  else {
    globalThis.gc?.();
    const { heapUsed: heapBytes } = process.memoryUsage();
    const connections = fixture.deps.admission.sessions.size;
    process.send?.({ value: { heapBytes, connections, publishers: [...publishers] } satisfies NodeState });
  }
});
process.on('disconnect', () => process.exit());
process.send?.({ value: service.ports.mqtt });
