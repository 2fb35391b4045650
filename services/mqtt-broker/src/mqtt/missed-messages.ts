import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type Logger } from '@signet/service';
import type { SessionStore } from '../domain/session-store.ts';
import type { Session } from './session.ts';
import type { SessionHolders } from './session-holders.ts';
import type { Settling } from './settling.ts';
import type { Emitter } from './strict-aedes.ts';

type Parts = {
  readonly log: Logger;
  readonly store: SessionStore;
  readonly mq: Emitter;
  readonly holders: SessionHolders;
  readonly settling: Settling;
};

/**
 * While this node was cut off from the bus, other nodes found nobody to hand a device's messages to, and put them into
 * its queue. A device that stayed connected here would get them at its next connection only: here they are sent as soon
 * as the bus is back, and before anything newer.
 */
export class MissedMessages {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** From `renewed` on nobody else puts messages into its queue; what is there then, and was not sent, is sent. */
  look(key: string, renewed: Promise<void>): void {
    const { holders, settling } = this.#parts;
    const session = holders.get(key);
    if (session === undefined) return;
    settling.whenSettled(session, () => {
      if (holders.get(key) !== session) return;
      settling.reopen(session);
      void this.#look(session, renewed).finally(() => settling.settled(session));
    });
  }

  async #look(session: Session, renewed: Promise<void>): Promise<void> {
    const { log, holders } = this.#parts;
    for (let attempt = 1; holders.get(session.key) === session; attempt++) {
      try {
        await renewed;
      } catch {
        // the bus is lost again: this is called again once it is back
        return;
      }
      try {
        await this.#send(session);
        return;
      } catch (error) {
        log.warn({ err: error, ...session.owner, attempt }, 'mqtt: its queue cannot be read; trying again');
        await sleep(backoffMs(attempt, 100, 5000));
      }
    }
  }

  /** A packet without an id was never sent; each client takes one that comes to it twice once. */
  async #send({ key }: Session): Promise<void> {
    const { store, mq } = this.#parts;
    for await (const packet of store.persistence.outgoingStream({ id: key })) {
      if (packet.cmd !== 'publish' || typeof packet.messageId === 'number') continue;
      await new Promise<void>((resolve) => mq.emit(packet, () => resolve()));
    }
  }
}
