import { isUtf8 } from 'node:buffer';

/** Types of control packets, MQTT 3.1.1 §2.2.1. */
export const PACKET = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const;

const names = new Map<number, string>(
  Object.entries(PACKET).map(([name, type]) => [type, name.toUpperCase()]),
);

/** A packet that MQTT 3.1.1 forbids, with the statement that does so: its sender's connection is closed. */
export class MalformedPacket extends Error {
  override readonly name = 'MalformedPacket';

  constructor(rule: string, statement: string) {
    super(`${rule} (${statement})`);
  }
}

/** A packet is longer than allowed, as its fixed header says: nothing of it is collected. */
export class PacketTooLarge extends Error {
  override readonly name = 'PacketTooLarge';

  constructor(bytes: number, maxBytes: number) {
    super(`packet: ${bytes} bytes, at most ${maxBytes} are allowed`);
  }
}

/** A CONNECT packet of a protocol version that is not spoken here. */
export class UnspokenProtocol extends Error {
  override readonly name = 'UnspokenProtocol';
  /** Its CONNACK, in the format of that version. */
  readonly connack: Buffer;

  constructor(protocolName: string, level: number) {
    super(`protocol: ${protocolName} level ${level} is not spoken, MQTT 3.1.1 (level 4) and 3.1 are`);
    const isVersion5 = protocolName === 'MQTT' && level === 5;
    // version 5: reason 0x84, no properties; else return code 1 (MQTT-3.1.2-2)
    this.connack = isVersion5 ? Buffer.of(0x20, 3, 0, 0x84, 0) : Buffer.of(0x20, 2, 0, 1);
  }
}

/**
 * Checks one whole packet of a client against MQTT 3.1.1: whatever a server must close the connection for is an error.
 * The packet is `bytes` from its first byte on, its body from `body` on.
 * @throws MalformedPacket, UnspokenProtocol
 */
export function checkPacket(bytes: Buffer, body: number): void {
  const type = (bytes[0] ?? 0) >> 4;
  const flags = (bytes[0] ?? 0) & 0x0f;
  const name = names.get(type);
  if (name === undefined)
    throw new MalformedPacket(`a client sends no packet of type ${type}`, 'MQTT-4.8.0-1');
  const rest = new Body(name, bytes, body);
  if (type === PACKET.publish) {
    checkPublish(rest, flags);
    return;
  }
  const isReservedTwo = type === PACKET.pubrel || type === PACKET.subscribe || type === PACKET.unsubscribe;
  if (flags !== (isReservedTwo ? 2 : 0)) throw rest.malformed(`flags ${flags} are reserved`, 'MQTT-2.2.2-2');
  switch (type) {
    case PACKET.connect:
      checkConnect(rest);
      break;
    case PACKET.subscribe:
      checkFilters(rest, 'MQTT-3.8.3-3', () => {
        const qos = rest.byte();
        if (qos > 2) throw rest.malformed(`requested QoS ${qos}`, 'MQTT-3-8.3-4');
      });
      break;
    case PACKET.unsubscribe:
      checkFilters(rest, 'MQTT-3.10.3-2', () => {});
      break;
    case PACKET.pingreq:
    case PACKET.disconnect:
      break;
    default:
      rest.packetId();
  }
  rest.ended();
}

/** §3.1. The client id is looked at where it is known whose it has to be. */
function checkConnect(rest: Body): void {
  const protocolName = rest.text('protocol name', 'MQTT-1.5.3-1');
  if (protocolName !== 'MQTT' && protocolName !== 'MQIsdp')
    throw rest.malformed(`protocol name "${protocolName.slice(0, 16)}"`, 'MQTT-3.1.2-1');
  const level = rest.byte();
  if (level !== (protocolName === 'MQTT' ? 4 : 3)) throw new UnspokenProtocol(protocolName, level);
  const flags = rest.byte();
  const [hasName, hasPassword, retain, hasWill] = [0x80, 0x40, 0x20, 0x04].map(
    (flag) => (flags & flag) !== 0,
  );
  const qos = (flags >> 3) & 3;
  if ((flags & 1) !== 0) throw rest.malformed('the reserved flag is set', 'MQTT-3.1.2-3');
  if (hasWill && qos === 3) throw rest.malformed('will QoS 3', 'MQTT-3.1.2-14');
  if (!hasWill && qos !== 0) throw rest.malformed('will QoS without a will', 'MQTT-3.1.2-13');
  if (!hasWill && retain) throw rest.malformed('will retain without a will', 'MQTT-3.1.2-15');
  if (hasPassword && !hasName) throw rest.malformed('password without user name', 'MQTT-3.1.2-22');
  rest.number();
  rest.text('client id', 'MQTT-3.1.3-4');
  if (hasWill) {
    rest.text('will topic', 'MQTT-3.1.3-10');
    rest.binary();
  }
  if (hasName) rest.text('user name', 'MQTT-3.1.3-11');
  if (hasPassword) rest.binary();
}

/** §3.3. */
function checkPublish(rest: Body, flags: number): void {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw rest.malformed('QoS 3', 'MQTT-3.3.1-4');
  if (qos === 0 && (flags & 8) !== 0) throw rest.malformed('DUP with QoS 0', 'MQTT-3.3.1-2');
  const topic = rest.text('topic', 'MQTT-3.3.2-1');
  if (topic === '') throw rest.malformed('an empty topic', 'MQTT-4.7.3-1');
  if (/[+#]/.test(topic)) throw rest.malformed('a wildcard in the topic', 'MQTT-3.3.2-2');
  if (qos > 0) rest.packetId();
}

/** §3.8.3, §3.10.3: `then` reads what follows a filter. */
function checkFilters(rest: Body, atLeastOne: string, then: () => void): void {
  rest.packetId();
  if (rest.isAtEnd) throw rest.malformed('no topic filter', atLeastOne);
  while (!rest.isAtEnd) {
    const filter = rest.text('topic filter', 'MQTT-3.8.3-1');
    if (filter === '') throw rest.malformed('an empty topic filter', 'MQTT-4.7.3-1');
    const levels = filter.split('/');
    if (levels.some((level, i) => level.includes('#') && (level !== '#' || i !== levels.length - 1)))
      throw rest.malformed('"#" not alone in the last level', 'MQTT-4.7.1-2');
    if (levels.some((level) => level.includes('+') && level !== '+'))
      throw rest.malformed('"+" not alone in its level', 'MQTT-4.7.1-3');
    then();
  }
}

/** Reads the body of a packet from its start to its end. */
class Body {
  readonly #name: string;
  readonly #bytes: Buffer;
  #at: number;

  constructor(name: string, bytes: Buffer, start: number) {
    this.#name = name;
    this.#bytes = bytes;
    this.#at = start;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  malformed(rule: string, statement: string): MalformedPacket {
    return new MalformedPacket(`${this.#name}: ${rule}`, statement);
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  number(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  packetId(): void {
    if (this.number() === 0) throw this.malformed('packet id 0', 'MQTT-2.3.1-1');
  }

  binary(): Buffer {
    const length = this.number();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** §1.5.3: well-formed UTF-8 (no surrogates, nothing overlong) without U+0000. */
  text(what: string, statement: string): string {
    const bytes = this.binary();
    if (!isUtf8(bytes)) throw this.malformed(`${what} is not UTF-8`, `MQTT-1.5.3-1, ${statement}`);
    if (bytes.includes(0)) throw this.malformed(`${what} has U+0000`, `MQTT-1.5.3-2, ${statement}`);
    return bytes.toString('utf8');
  }

  ended(): void {
    const more = this.#bytes.length - this.#at;
    if (more > 0) throw this.malformed(`${more} bytes behind its contents`, 'MQTT-4.8.0-1');
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length)
      throw this.malformed('shorter than its contents', 'MQTT-4.8.0-1');
    this.#at = start + length;
    return start;
  }
}

/** A device has more QoS 2 messages open than it may. */
export class TooManyInFlight extends Error {
  override readonly name = 'TooManyInFlight';

  constructor(most: number) {
    super(`publish: more than ${most} QoS 2 messages without PUBREL`);
  }
}

/** Packet ids of what a device has published on this connection, until it may use them again (3.1.1 §2.3.1). */
export class PacketIdsInUse {
  readonly #maxUnreleased: number;
  #unacknowledged: Set<number> | undefined;
  #unreleased: Set<number> | undefined;

  constructor(maxUnreleased: number) {
    this.#maxUnreleased = maxUnreleased;
  }

  has(id: number): boolean {
    return this.#unacknowledged?.has(id) === true || this.#unreleased?.has(id) === true;
  }

  /** QoS 1, until PUBACK goes out. */
  hold(id: number): void {
    this.#unacknowledged ??= new Set();
    this.#unacknowledged.add(id);
  }

  acknowledged(id: number): void {
    this.#unacknowledged?.delete(id);
  }

  /**
   * A PUBLISH that was not taken on the short way.
   * @throws MalformedPacket, TooManyInFlight
   */
  published(id: number, qos: number, isRepeated: boolean): void {
    if (!isRepeated && this.has(id))
      throw new MalformedPacket(`PUBLISH: packet id ${id} is in use, and DUP is 0`, 'MQTT-2.3.1-2');
    if (qos !== 2) return;
    this.#unreleased ??= new Set();
    if (this.#unreleased.size >= this.#maxUnreleased && !this.#unreleased.has(id))
      throw new TooManyInFlight(this.#maxUnreleased);
    this.#unreleased.add(id);
  }

  released(id: number): void {
    this.#unreleased?.delete(id);
  }
}
