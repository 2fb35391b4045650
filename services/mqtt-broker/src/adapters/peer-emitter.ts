import type { Bus, Subscription } from '@signet/bus';
import { readForeignJson } from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { Message, MQEmitter } from 'mqemitter';
import mqemitter from 'mqemitter';
import { z } from 'zod';

const SUBJECT = 'signet.mqtt-broker.peers';
/** What nodes have to know of each other: who connected, and who is alive. All else stays where it is. */
const FOR_PEERS = /^\$SYS\/[^/]+\/(new\/clients|heartbeat|birth)$/;
const CONNECTED = /\/new\/clients$/;

const PeerMessage = z.object({
  ...{ node: z.string(), topic: z.string().regex(FOR_PEERS), payload: z.string() },
  /** Of a device that connected: the claim of its connection. Absent where its node knows of none. */
  claim: z.number().positive().optional(),
});
export type PeerEmitterParts = {
  readonly bus: Bus;
  readonly log: Logger;
  /** Unique for each start. */
  readonly node: string;
  /** The claim of the connection that has this session here. */
  readonly claimOf: (key: string) => number | undefined;
  /** A device connected to another node, with this claim to its session. */
  readonly connected: (key: string, claim: number) => void;
};
type Listener = (packet: { topic: string; payload: Buffer }, done: () => void) => void;
type AnyListener = Parameters<MQEmitter['on']>[1];

/**
 * The emitter of a broker node: in memory, and for what concerns other nodes also over the bus's plain messages. Who
 * connected elsewhere is no affair of aedes, which would close the client here however late it hears of that. A message
 * that does not arrive leaves an old session to its keep-alive; nothing is stored here.
 */
export class PeerEmitter implements AsyncDisposable {
  readonly #local: MQEmitter;
  readonly #parts: PeerEmitterParts;
  readonly #subscription: Subscription;

  static async open(parts: PeerEmitterParts): Promise<PeerEmitter> {
    const local = mqemitter({ concurrency: 0, matchEmptyLevels: true });
    const own = Buffer.from(JSON.stringify({ node: parts.node }).slice(0, -1));
    const subscription = await parts.bus.listen(SUBJECT, ({ payload }) => {
      if (own.equals(payload.subarray(0, own.length))) return;
      const message = decode(payload);
      if (message === undefined) parts.log.warn('mqtt: failed to parse a message from another node');
      else if (CONNECTED.test(message.topic))
        parts.connected(message.payload, message.claim ?? Number.POSITIVE_INFINITY);
      else {
        const { topic } = message;
        local.emit({ cmd: 'publish', topic, payload: Buffer.from(message.payload), qos: 0 } as Message);
      }
    });
    return new PeerEmitter(parts, local, subscription);
  }

  private constructor(parts: PeerEmitterParts, local: MQEmitter, subscription: Subscription) {
    this.#parts = parts;
    this.#local = local;
    this.#subscription = subscription;
  }

  on(topic: string, listener: Listener, done?: () => void): this {
    this.#local.on(topic, listener as AnyListener, done);
    return this;
  }

  removeListener(topic: string, listener: Listener, done?: () => void): void {
    this.#local.removeListener(topic, listener as AnyListener, done);
  }

  emit(packet: { topic: string; payload?: string | Buffer }, done?: (error?: Error) => void): void {
    this.#local.emit(packet as Message, done);
    if (!FOR_PEERS.test(packet.topic)) return;
    const { bus, node, log, claimOf } = this.#parts;
    const payload = String(packet.payload ?? '');
    const claim = CONNECTED.test(packet.topic) ? claimOf(payload) : undefined;
    const message = { node, topic: packet.topic, payload, ...(claim ? { claim } : {}) };
    bus
      .send(SUBJECT, Buffer.from(JSON.stringify(message)))
      .catch((error: unknown) => log.warn({ err: error }, 'mqtt: failed to notify other nodes'));
  }

  close(done: () => void): void {
    this.#local.close(done);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#subscription[Symbol.asyncDispose]());
  }
}

function decode(payload: Uint8Array): z.output<typeof PeerMessage> | undefined {
  try {
    return PeerMessage.parse(readForeignJson(payload, 'payload'));
  } catch {
    return undefined;
  }
}
