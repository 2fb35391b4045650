import type { NatsConnection } from '@nats-io/transport-node';
import { readForeignJson } from '@signet/contracts';
import type { SessionHandle } from '@signet/denylist';
import type { Logger } from '@signet/service';
import { z } from 'zod';

const Disconnected = z.object({
  server: z.object({ id: z.string() }),
  client: z.object({ id: z.number().int() }),
});

type Place = { readonly server: string; readonly client: number; readonly clientId: string };
type Session = Place & { readonly handle: SessionHandle; readonly kick: () => void };

/**
 * The sessions at NATS servers, which those tell of when they end: by their system account, on
 * `$SYS.ACCOUNT.<account>.DISCONNECT`, and on `$SYS.SERVER.<id>.SHUTDOWN` for all of a server. What is not told (a server
 * that was killed) is bounded: a device has one session, under its client id. A new one takes its place, and the one
 * before is kicked, lest it live on out of sight where the new one comes to nothing.
 */
export class NatsSessions {
  readonly #byClientId = new Map<string, Session>();
  readonly #byPlace = new Map<string, string>();

  get size(): number {
    return this.#byClientId.size;
  }

  enter(session: Session): void {
    const before = this.#byClientId.get(session.clientId);
    this.#leave(session.clientId);
    before?.kick();
    this.#byClientId.set(session.clientId, session);
    this.#byPlace.set(nameOf(session), session.clientId);
  }

  /** To be called also where Signet ended the session: that it has ended is not told before the server has done so. */
  ended(place: Pick<Place, 'server' | 'client'>): void {
    const clientId = this.#byPlace.get(nameOf(place));
    if (clientId !== undefined) this.#leave(clientId);
  }

  serverEnded(server: string): void {
    for (const session of [...this.#byClientId.values()])
      if (session.server === server) this.#leave(session.clientId);
  }

  /** Listens for ends, as a user of the system account. */
  follow(system: NatsConnection, account: string, log: Logger): void {
    system.subscribe(`$SYS.ACCOUNT.${account}.DISCONNECT`, {
      callback: (error, message) => {
        if (error !== null)
          return log.error({ err: error }, 'NATS callout: failed to receive the end of a session');
        const said = Disconnected.safeParse(parseJson(message.string()));
        if (said.success) this.ended({ server: said.data.server.id, client: said.data.client.id });
        else log.warn('NATS callout: the end of a session is malformed');
      },
    });
    system.subscribe('$SYS.SERVER.*.SHUTDOWN', {
      callback: (error, message) => {
        const [, , server] = message.subject.split('.');
        if (error === null && server !== undefined) this.serverEnded(server);
      },
    });
  }

  #leave(clientId: string): void {
    const session = this.#byClientId.get(clientId);
    if (session === undefined) return;
    this.#byClientId.delete(clientId);
    this.#byPlace.delete(nameOf(session));
    session.handle.leave();
  }
}

function nameOf({ server, client }: Pick<Place, 'server' | 'client'>): string {
  return `${server}/${client}`;
}

function parseJson(text: string): unknown {
  try {
    return readForeignJson(text, 'event of the NATS server');
  } catch {
    return undefined;
  }
}
