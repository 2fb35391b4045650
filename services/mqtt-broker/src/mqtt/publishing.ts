import { mqttSubject } from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { Client, PublishPacket } from 'aedes';
import type { SessionStore } from '../domain/session-store.ts';
import { type Owner, ownerOfKey, publishLevels, publishRefusal } from '../domain/topic-rules.ts';
import type { ClientRefusals } from './client-refusals.ts';
import { Refused } from './connect-request.ts';
import { endOf, type Session, sessionOf } from './session.ts';
import type { Underway } from './underway.ts';
import { isTooLarge } from './uplink.ts';

export type PublishingParts = {
  readonly refusals: ClientRefusals;
  readonly log: Logger;
  /** Hands a message on; where it is to be stored, rejects if the bus has not done so in time. */
  readonly up: (subject: string, payload: Uint8Array, stored: boolean) => Promise<void>;
  readonly underway: Underway;
  /** Whether the deny list names this device: a will that its dead node left behind is dropped. */
  readonly isDenied: (owner: Owner) => boolean;
  readonly counted: (account: string, count: number) => void;
  readonly persistence: SessionStore['persistence'];
};

/** What devices publish: below their own `up/` only, acknowledged once the bus has it. */
export class Publishing {
  readonly #parts: PublishingParts;

  constructor(parts: PublishingParts) {
    this.#parts = parts;
  }

  /** @throws Refused, or what the bus failed with: either ends the session, the message unacknowledged */
  publish(client: Client | null, packet: PublishPacket): Promise<void> {
    const running = this.#publish(client, packet);
    this.#parts.underway.add(running);
    return running;
  }

  async #publish(client: Client | null, packet: PublishPacket): Promise<void> {
    const session = sessionOf(client);
    packet.retain = false;
    if (client === null || session === undefined) return await this.#leftWill(packet);
    const levels = publishLevels(session.owner, packet.topic);
    if (levels === undefined) {
      session.endedBy ??= 'protocol';
      const message = `publish: "${packet.topic.slice(0, 100)}" ${publishRefusal(session.owner, packet.topic)}`;
      throw this.#parts.refusals.refuse(client, 'topic-not-allowed', message);
    }
    if (client.closed && endOf(session, client) === 'denied') throw new Refused('denied');
    if (packet.qos === 2 && !client.closed && (await this.#isRepeated(client, packet))) return;
    await this.#hand(client, session, levels, packet);
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
      log.warn({ err: error, ...session.owner }, 'mqtt: a message was not stored, its session ends');
      session.endedBy ??= 'network';
      refusals.settle(client);
      throw error;
    }
  }

  /** A QoS 2 message that is sent again is in the persistence already, and on the bus. */
  async #isRepeated(client: Client, packet: PublishPacket): Promise<boolean> {
    const found = this.#parts.persistence.incomingGetPacket(client, packet);
    return await found.then(
      () => true,
      () => false,
    );
  }

  /** The will of a client whose node died: authorized by its stored id, dropped if its device is denied. */
  async #leftWill(packet: PublishPacket & { clientId?: string }): Promise<void> {
    const owner = ownerOfKey(packet.clientId ?? '');
    const levels = owner && publishLevels(owner, packet.topic);
    if (owner === undefined || levels === undefined || this.#parts.isDenied(owner)) {
      this.#parts.log.warn({ clientId: packet.clientId, topic: packet.topic }, 'mqtt: a will dropped');
      return;
    }
    await this.#parts.up(subjectOf(owner, levels), Buffer.from(packet.payload), packet.qos > 0);
  }
}

function subjectOf({ account, deviceId }: Owner, levels: readonly string[]): string {
  return mqttSubject(account, deviceId, 'up', levels);
}
