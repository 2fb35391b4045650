import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { checkPacket, MalformedPacket, UnspokenProtocol } from './packet-rules.ts';

/** One packet: its first byte, and its body. */
function packet(first: number, body: Buffer | string = ''): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'hex') : body;
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.of(first, ...length), bytes]);
}

function check(bytes: Buffer): void {
  let body = 1;
  while ((bytes[body++] ?? 0) >= 0x80);
  checkPacket(bytes, body);
}

const text = (value: string | Buffer) => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
};
const connect = (flags: number, ...payload: (string | Buffer)[]) =>
  packet(0x10, Buffer.concat([text('MQTT'), Buffer.of(4, flags, 0, 60), ...payload.map(text)]));
const publish = (first: number, topic: string | Buffer, id: Buffer = Buffer.of()) =>
  packet(first, Buffer.concat([text(topic), id, Buffer.from('payload')]));

const illFormed: [string, Buffer][] = [
  ['a lone byte', Buffer.from('ff', 'hex')],
  ['a surrogate', Buffer.from('eda080', 'hex')],
  ['overlong NUL', Buffer.from('c080', 'hex')],
  ['overlong "/"', Buffer.from('c0af', 'hex')],
  ['beyond Unicode', Buffer.from('f4908080', 'hex')],
  ['a cut character', Buffer.from('c3', 'hex')],
  ['U+0000', Buffer.from('610061', 'hex')],
];

describe('a packet of a client', () => {
  it.each<[string, string, Buffer]>([
    ['MQTT-2.2.2-2', 'flags of CONNECT', Buffer.concat([Buffer.of(0x11), connect(2, 'c').subarray(1)])],
    ['MQTT-2.2.2-2', 'flags of PUBACK', packet(0x42, '0001')],
    ['MQTT-2.2.2-2', 'flags of PUBREL', packet(0x60, '0001')],
    ['MQTT-2.2.2-2', 'flags of SUBSCRIBE', packet(0x80, '000100016100')],
    ['MQTT-2.2.2-2', 'flags of UNSUBSCRIBE', packet(0xa0, '0001000161')],
    ['MQTT-2.2.2-2', 'flags of PINGREQ', packet(0xc1)],
    ['MQTT-2.2.2-2', 'flags of DISCONNECT', packet(0xe1)],
    ['MQTT-2.3.1-1', 'packet id 0 of PUBLISH, QoS 1', publish(0x32, 'a', Buffer.of(0, 0))],
    ['MQTT-2.3.1-1', 'packet id 0 of PUBLISH, QoS 2', publish(0x34, 'a', Buffer.of(0, 0))],
    ['MQTT-2.3.1-1', 'packet id 0 of SUBSCRIBE', packet(0x82, '000000016100')],
    ['MQTT-2.3.1-1', 'packet id 0 of UNSUBSCRIBE', packet(0xa2, '0000000161')],
    ['MQTT-2.3.1-1', 'packet id 0 of PUBREL', packet(0x62, '0000')],
    [
      'MQTT-3.1.2-1',
      'another protocol',
      packet(0x10, Buffer.concat([text('HTTP'), Buffer.of(4, 2, 0, 60), text('c')])),
    ],
    ['MQTT-3.1.2-3', 'the reserved flag of CONNECT', connect(3, 'c')],
    ['MQTT-3.1.2-13', 'will QoS without a will', connect(0x0a, 'c')],
    ['MQTT-3.1.2-14', 'will QoS 3', connect(0x1e, 'c', 't', 'm')],
    ['MQTT-3.1.2-15', 'will retain without a will', connect(0x22, 'c')],
    ['MQTT-3.1.2-22', 'password without user name', connect(0x42, 'c', 'p')],
    ['MQTT-4.8.0-1', 'a CONNECT without client id', connect(2)],
    ['MQTT-4.8.0-1', 'a will that is announced and not there', connect(6, 'c', 't')],
    ['MQTT-4.8.0-1', 'a user name that is announced and not there', connect(0x82, 'c')],
    ['MQTT-4.8.0-1', 'bytes behind the payload of CONNECT', connect(2, 'c', 'more')],
    ['MQTT-3.3.1-2', 'DUP with QoS 0', publish(0x38, 'a')],
    ['MQTT-3.3.1-4', 'QoS 3', publish(0x36, 'a', Buffer.of(0, 1))],
    ['MQTT-3.3.2-2', 'a wildcard in a topic', publish(0x30, 'a/+')],
    ['MQTT-4.7.3-1', 'an empty topic', publish(0x30, '')],
    ['MQTT-4.8.0-1', 'a topic that is longer than its packet', packet(0x30, '0009aa')],
    ['MQTT-4.8.0-1', 'a PUBLISH without its packet id', packet(0x32, '000161')],
    ['MQTT-4.8.0-1', 'a PUBACK of three bytes', packet(0x40, '000100')],
    ['MQTT-4.8.0-1', 'a PUBACK of one byte', packet(0x40, '00')],
    ['MQTT-3.8.3-3', 'SUBSCRIBE without a filter', packet(0x82, '0001')],
    ['MQTT-3-8.3-4', 'SUBSCRIBE with QoS 3', packet(0x82, '000100016103')],
    ['MQTT-3-8.3-4', 'SUBSCRIBE with a reserved bit', packet(0x82, '000100016104')],
    ['MQTT-4.8.0-1', 'SUBSCRIBE without QoS', packet(0x82, '0001000161')],
    ['MQTT-4.7.3-1', 'SUBSCRIBE with an empty filter', packet(0x82, '0001000000')],
    [
      'MQTT-4.7.1-2',
      '"#" before the last level',
      packet(0x82, Buffer.concat([Buffer.of(0, 1), text('a/#/b'), Buffer.of(0)])),
    ],
    ['MQTT-4.7.1-2', '"#" beside something', packet(0xa2, Buffer.concat([Buffer.of(0, 1), text('a#')]))],
    [
      'MQTT-4.7.1-3',
      '"+" beside something',
      packet(0x82, Buffer.concat([Buffer.of(0, 1), text('a+/b'), Buffer.of(0)])),
    ],
    ['MQTT-3.10.3-2', 'UNSUBSCRIBE without a filter', packet(0xa2, '0001')],
    ['MQTT-4.8.0-1', 'PINGREQ with a body', packet(0xc0, '00')],
    ['MQTT-4.8.0-1', 'DISCONNECT with a body', packet(0xe0, '00')],
    ...[0, 2, 9, 11, 13, 15].map((type): [string, string, Buffer] => [
      'MQTT-4.8.0-1',
      `type ${type}, which no client sends`,
      packet(type << 4, '0001'),
    ]),
  ])('%s: %s is malformed', (statement, _what, bytes) => {
    expect(() => check(bytes)).toThrow(MalformedPacket);
    expect(() => check(bytes)).toThrow(statement);
  });

  it.each(illFormed)('MQTT-1.5.3-1, 1.5.3-2: %s is malformed wherever there is text', (_what, bytes) => {
    for (const malformed of [
      connect(2, bytes),
      connect(6, 'c', bytes, 'm'),
      connect(0xc2, 'c', bytes, 'p'),
      publish(0x30, bytes),
      publish(0x32, bytes, Buffer.of(0, 1)),
      packet(0x82, Buffer.concat([Buffer.of(0, 1), text(bytes), Buffer.of(0)])),
      packet(0xa2, Buffer.concat([Buffer.of(0, 1), text(bytes)])),
      packet(0x10, Buffer.concat([text(bytes), Buffer.of(4, 2, 0, 60), text('c')])),
    ])
      expect(() => check(malformed)).toThrow(/MQTT-1\.5\.3-[12]/);
  });

  it('MQTT-1.5.3-3: U+FEFF stays, and what is no text may have any bytes', () => {
    expect(() =>
      check(connect(0xc6, 'c', '\ufeffa', Buffer.from('ff00', 'hex'), '\ufeff', Buffer.from('ff00', 'hex'))),
    ).not.toThrow();
  });

  it.each<[string, number, string]>([
    ['MQTT', 5, '2003008400'],
    ['MQTT', 6, '20020001'],
    ['MQTT', 3, '20020001'],
    ['MQTT', 0x84, '20020001'],
    ['MQIsdp', 4, '20020001'],
    ['MQIsdp', 0x83, '20020001'],
  ])('MQTT-3.1.2-2: %s level %i is not spoken, and told so in its own format', (name, level, connack) => {
    // of another version nothing else is known, so nothing else is looked at
    const bytes = packet(0x10, Buffer.concat([text(name), Buffer.of(level), Buffer.from('anything')]));
    const refused = () => check(bytes);
    expect(refused).toThrow(UnspokenProtocol);
    expect(refused).toThrow(expect.objectContaining({ connack: Buffer.from(connack, 'hex') }));
  });

  it('is taken as mqtt-packet writes it, whatever it says', () => {
    const topic = fc.stringMatching(/^[a-zA-Zäß€/ ]{1,40}$/);
    const id = fc.integer({ min: 1, max: 65_535 });
    const qos = fc.constantFrom<0 | 1 | 2>(0, 1, 2);
    const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    const packets: fc.Arbitrary<Packet> = fc.oneof(
      fc
        .record({ messageId: id, topic, qos, payload, dup: fc.boolean(), retain: fc.boolean() })
        .map((fields) => ({
          ...{ cmd: 'publish' as const, ...fields },
          dup: fields.qos > 0 && fields.dup,
        })),
      fc
        .record({ messageId: id, subscriptions: fc.array(fc.record({ topic, qos }), { minLength: 1 }) })
        .map((fields) => ({
          ...{ cmd: 'subscribe' as const, ...fields },
        })),
      fc.record({ messageId: id, unsubscriptions: fc.array(topic, { minLength: 1 }) }).map((fields) => ({
        ...{ cmd: 'unsubscribe' as const, ...fields },
      })),
      fc.record({
        cmd: fc.constantFrom('puback' as const, 'pubrec' as const, 'pubrel' as const, 'pubcomp' as const),
        messageId: id,
      }),
      fc.record({
        cmd: fc.constant('connect' as const),
        protocolId: fc.constant('MQTT' as const),
        protocolVersion: fc.constant(4 as const),
        clientId: fc
          .string({ minLength: 1 })
          .filter((value) => value.isWellFormed() && !value.includes('\0')),
        clean: fc.boolean(),
        keepalive: fc.integer({ min: 0, max: 65_535 }),
        will: fc.record({ topic, payload, qos, retain: fc.boolean() }),
        username: topic,
        password: payload,
      }),
      fc.constantFrom({ cmd: 'pingreq' as const }, { cmd: 'disconnect' as const }),
    );
    fc.assert(
      fc.property(packets, (sent) => {
        expect(() => check(generate(sent))).not.toThrow();
      }),
    );
  });
});
