import type { Bus } from '@signet/bus';
import { type DisconnectReason, newEvent } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { EventQueue, type Logger } from '@signet/service';
import type { Owner } from '../domain/topic/topic-rules.ts';

const CAPACITY = 100_000;
/** Nobody waits for these events, and a commit costs as much as half a connection. */
const GATHER_MS = 50;

/** What is told of a session. */
export type ToldSession = {
  readonly id: string;
  readonly owner: Owner;
  readonly peer: VerifiedPeer;
  readonly address: string;
};

/** Tells the platform of sessions that begin and end. Nobody waits for it; while the bus is unavailable the events wait. */
export class SessionEvents implements AsyncDisposable {
  readonly #queue: EventQueue;
  readonly #node: string;
  readonly #now: () => number;

  constructor(options: { bus: Bus; node: string; log: Logger; now: () => number }) {
    this.#node = options.node;
    this.#now = options.now;
    this.#queue = new EventQueue({
      publish: (events, publishOptions) => options.bus.publish(events, publishOptions),
      capacity: CAPACITY,
      gatherMs: GATHER_MS,
      onDrop: (events, cause) =>
        options.log.error({ err: cause, count: events.length }, 'session: events dropped'),
    });
  }

  connected(session: ToldSession): void {
    const { account, deviceId } = session.owner;
    const data = this.#facts(session);
    this.#queue.push(newEvent('DEVICE_CONNECTED', { account, subject: deviceId, data, time: this.#now() }));
  }

  disconnected(session: ToldSession, reason: DisconnectReason): void {
    const { account, deviceId } = session.owner;
    const data = { ...this.#facts(session), reason };
    this.#queue.push(
      newEvent('DEVICE_DISCONNECTED', { account, subject: deviceId, data, time: this.#now() }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#queue.close();
  }

  #facts({ id, owner, address, peer }: ToldSession) {
    const { fingerprint, serialNumber, issuerKeyId, publicKeyHash } = peer.facts;
    const { deviceId } = owner;
    return {
      deviceId,
      sessionId: id,
      node: this.#node,
      address,
      fingerprint,
      serialNumber,
      issuerKeyId,
      publicKeyHash,
    };
  }
}
