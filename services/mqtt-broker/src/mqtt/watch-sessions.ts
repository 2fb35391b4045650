import type { Logger } from '@signet/service';
import type { Client } from 'aedes';
import { ownerOfKey } from '../domain/topic-rules.ts';
import type { Mailboxes } from './admitting.ts';
import type { ClientRefusals } from './client-refusals.ts';
import { type Session, sessionOf } from './session.ts';
import type { SessionHolders } from './session-holders.ts';
import type { Settling } from './settling.ts';
import type { Emitter, StrictAedes } from './strict-aedes.ts';
import type { WaitingMessages } from './waiting-messages.ts';

export type WatchParts = {
  readonly log: Logger;
  readonly mq: Emitter;
  readonly mailboxes: Mailboxes;
  readonly holders: SessionHolders;
  readonly waiting: WaitingMessages;
  readonly settling: Settling;
  readonly refusals: ClientRefusals;
  /** Its CONNACK went out. */
  readonly opened: (session: Session, client: Client) => void;
};

/** Follows what aedes and other nodes tell of sessions. */
export function watchSessions(aedes: StrictAedes, parts: WatchParts): void {
  const { log, mq, mailboxes, holders, waiting, settling, refusals, opened } = parts;
  aedes.on('client', (client) => {
    waiting.forget(client.id);
    holders.registered(client);
  });
  aedes.on('connackSent', ({ returnCode }, client) => {
    const session = sessionOf(client);
    if (session === undefined || returnCode !== 0 || client.closed) return;
    session.isConnected = true;
    opened(session, client);
  });
  aedes.on('clientReady', (client) => {
    const session = sessionOf(client);
    if (session !== undefined) settling.settled(session);
  });
  aedes.on('unsubscribe', (filters, client) => {
    for (const filter of filters) sessionOf(client)?.subscriptions.delete(filter);
  });
  aedes.on('keepaliveTimeout', (client) => {
    refusals.settle(client);
    const session = sessionOf(client);
    if (session !== undefined) session.endedBy ??= 'keepalive';
  });
  const failed = (client: Client, error: Error) => {
    const isOfTheNetwork = client.closed || 'code' in error;
    const session = sessionOf(client);
    if (session !== undefined && !isOfTheNetwork) session.endedBy ??= 'protocol';
    refusals.failed(client, error);
  };
  aedes.on('clientError', failed);
  aedes.on('connectionError', failed);
  (aedes as NodeJS.EventEmitter).on('error', (error) => log.error({ err: error }, 'mqtt: sessions failed'));
  // before aedes' own listener, which closes the client that another node has taken over
  mq.on('$SYS/+/new/clients', ({ topic, payload }, done) => {
    const key = payload.toString();
    const owner = ownerOfKey(key);
    if (owner !== undefined && topic !== `$SYS/${aedes.id}/new/clients`) {
      const session = holders.get(key);
      waiting.forget(key);
      if (session === undefined) mailboxes.close(owner);
      else if (session.isConnected) {
        session.endedBy ??= 'takeover';
        session.isElsewhere = true;
      }
    }
    done();
  });
}
