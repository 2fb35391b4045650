import { MalformedPacket } from './packet-rules.ts';

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
