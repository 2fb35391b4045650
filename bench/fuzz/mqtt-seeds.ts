import { generate, type Packet } from 'mqtt-packet';

const own = 'd/bench/dev-0';
const payload = Buffer.from('hello');
const publish = { cmd: 'publish', topic: `${own}/up/x`, payload, dup: false, retain: false } as const;

const packets: readonly Packet[] = [
  { ...publish, qos: 0 },
  { ...publish, qos: 1, messageId: 1 },
  { ...publish, qos: 2, messageId: 2 },
  { ...publish, qos: 1, messageId: 3, dup: true, retain: true },
  { cmd: 'pubrel', messageId: 2 },
  { cmd: 'puback', messageId: 9 },
  { cmd: 'pubrec', messageId: 9 },
  { cmd: 'pubcomp', messageId: 9 },
  { cmd: 'subscribe', messageId: 4, subscriptions: [{ topic: `${own}/down/#`, qos: 1 }] },
  { cmd: 'subscribe', messageId: 5, subscriptions: [{ topic: 'a/bench/shared/+/x', qos: 0 }] },
  { cmd: 'unsubscribe', messageId: 6, unsubscriptions: [`${own}/down/#`] },
  { cmd: 'pingreq' },
  { cmd: 'disconnect' },
];

const connect = (more: object): Packet =>
  ({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId: 'dev-0',
    keepalive: 60,
    ...more,
  }) as Packet;

const connects: readonly Packet[] = [
  connect({}),
  connect({ clean: false }),
  connect({ will: { topic: `${own}/up/gone`, payload, qos: 1, retain: false } }),
  connect({ username: 'u', password: Buffer.from('p') }),
  connect({ protocolId: 'MQIsdp', protocolVersion: 3 }),
  connect({ protocolVersion: 5 }),
];

/** What a client of MQTT 3.1.1 may say, before it is malformed. */
export const mqttSeeds = {
  packets: packets.map((packet) => generate(packet)),
  connects: connects.map((c) => generate(c)),
};
