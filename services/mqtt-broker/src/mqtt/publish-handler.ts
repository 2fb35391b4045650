import { setImmediate } from 'node:timers/promises';
import { mqttSubject } from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { Client, PublishPacket } from 'aedes';
import type { SessionStore } from '../domain/session/session-store.ts';
import { type Owner, ownerOfKey, publishLevels, publishRefusal } from '../domain/topic/topic-rules.ts';
import { type ClientRefusals, Refused } from './refusals.ts';
import { endOf, type Session, sessionOf } from './session.ts';
import { type InFlight, isTooLarge } from './uplink.ts';

export type PublishHandlerParts = {
  readonly refusals: ClientRefusals;
  readonly log: Logger;
  /** Hands a message on; where it is to be stored, rejects if the bus has not done so in time. */
  readonly up: (subject: string, payload: Uint8Array, stored: boolean) => Promise<void>;
  readonly inFlight: InFlight;
  /** Whether the deny list names this device: a will that its dead node left behind is dropped. */
  readonly isDenied: (owner: Owner) => boolean;
  readonly counted: (account: string, count: number) => void;
  readonly store: SessionStore;
  readonly limits: { readonly unreleased: number };
};

/** Handles what devices publish with QoS 2, and wills: below their own `up/` only, acknowledged once the bus has stored it. */
export class PublishHandler {
  readonly #parts: PublishHandlerParts;

  constructor(parts: PublishHandlerParts) {
    this.#parts = parts;
  }

  /** @throws Refused, or what the bus failed with: either ends the session, the message unacknowledged */
  publish(client: Client | null, packet: PublishPacket): Promise<void> {
    const running = this.#publish(client, packet);
    this.#parts.inFlight.add(running);
    return running;
  }

  async #publish(client: Client | null, packet: PublishPacket): Promise<void> {
    const session = sessionOf(client);
    packet.retain = false;
    if (client === null || session === undefined || isLeft(packet)) return await this.#leftWill(packet);
    const levels = publishLevels(session.owner, packet.topic);
    if (levels === undefined) {
      session.endedBy ??= 'protocol';
      const message = `publish: "${packet.topic.slice(0, 100)}" ${publishRefusal(session.owner, packet.topic)}`;
      throw this.#parts.refusals.refuse(client, 'topic-not-allowed', message);
    }
    const isWill = packet === session.will;
    if (client.closed && endOf(session, client) === 'denied') {
      if (isWill) await this.#dropWill(session.key, session.id);
      throw new Refused('denied');
    }
    if (packet.qos === 2 && !isWill) await this.#receive(client, session, levels, packet);
    else await this.#hand(client, session, levels, packet);
    if (isWill) await this.#dropWill(session.key, session.id);
  }

  /** QoS 2: one that is sent again is not handed on again; so many may be open at a time. */
  async #receive(client: Client, session: Session, levels: readonly string[], packet: PublishPacket) {
    const { unreleased, receiving } = session;
    const id = packet.messageId ?? 0;
    if (unreleased.has(id)) return;
    const before = receiving.get(id);
    if (before !== undefined) {
      await before;
      return;
    }
    const { unreleased: most } = this.#parts.limits;
    const isFull = () => unreleased.size - session.releasing.size + receiving.size >= most;
    // a PUBREL that came before it makes room
    if (isFull()) await setImmediate();
    if (isFull()) {
      session.endedBy ??= 'protocol';
      const message = `publish: ${most} messages of QoS 2 are not released, and no more may be`;
      throw this.#parts.refusals.refuse(client, 'limit-reached', message);
    }
    const handed = this.#hand(client, session, levels, packet);
    // until it is noted that it is on the bus
    receiving.set(id, handed);
    await handed;
  }

  /** Its device sent DISCONNECT. */
  async dropWill({ key, id }: Session): Promise<void> {
    await this.#dropWill(key, id);
  }

  /** Wills that this node had when it was killed. Where others may have them, aedes asks for those of dead nodes. */
  async publishLeft(isAlone: boolean): Promise<void> {
    if (!isAlone) return;
    const { store, log } = this.#parts;
    for (const { key, ...will } of await store.wills()) {
      const packet = { ...will, clientId: key } as unknown as PublishPacket;
      await this.#leftWill(packet).catch((error: unknown) => {
        log.warn({ err: error, key }, 'mqtt: failed to publish a will; retrying');
      });
    }
  }

  async #dropWill(key: string, session: string): Promise<void> {
    await this.#parts.store.dropWill(key, session).catch((error: unknown) => {
      this.#parts.log.warn(
        { err: error, key },
        'mqtt: failed to remove a published will; it may be published again',
      );
    });
  }

  /** Acknowledges in order: a message whose predecessor is not stored is not acknowledged either. */
  async #hand(client: Client, session: Session, levels: readonly string[], packet: PublishPacket) {
    const { up, counted, log, refusals } = this.#parts;
    const before = session.lastStored;
    const handed = up(subjectOf(session.owner, levels), Buffer.from(packet.payload), packet.qos > 0);
    if (packet.qos > 0) session.lastStored = before.then(() => handed);
    // awaited only after its predecessor: where that failed, nobody awaits this one
    handed.catch(() => {});
    try {
      await (packet.qos > 0 ? session.lastStored : handed);
      counted(session.owner.account, 1);
    } catch (error) {
      if (isTooLarge(error)) {
        session.endedBy ??= 'protocol';
        throw refusals.refuse(client, 'packet-too-large', `publish: ${error.message}`);
      }
      if (packet.qos === 0) return;
      log.warn({ err: error, ...session.owner }, 'mqtt: failed to store a message; its session is closed');
      session.endedBy ??= 'network';
      refusals.markReported(client);
      throw error;
    }
  }

  /** The will of a client whose node died: authorized by its stored id, dropped if its device is denied. */
  async #leftWill(packet: PublishPacket & { clientId?: string; session?: string }): Promise<void> {
    const owner = ownerOfKey(packet.clientId ?? '');
    const levels = owner && publishLevels(owner, packet.topic);
    if (owner === undefined || levels === undefined || this.#parts.isDenied(owner)) {
      this.#parts.log.warn({ clientId: packet.clientId, topic: packet.topic }, 'mqtt: dropped a will');
    } else await this.#parts.up(subjectOf(owner, levels), Buffer.from(packet.payload), packet.qos > 0);
    await this.#dropWill(packet.clientId ?? '', packet.session ?? '');
  }
}

/** A will that its connection did not get through: it names that connection. */
function isLeft(packet: PublishPacket & { session?: string }): boolean {
  return packet.session !== undefined;
}

function subjectOf({ account, deviceId }: Owner, levels: readonly string[]): string {
  return mqttSubject(account, deviceId, 'up', levels);
}
