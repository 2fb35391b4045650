import type { Logger } from '@signet/service';
import type { Client } from 'aedes';
import { isShared } from '../domain/topic-rules.ts';
import type { ClientRefusals } from './client-refusals.ts';
import { type Session, sessionOf } from './session.ts';
import type { SessionHolders } from './session-holders.ts';
import type { StrictAedes } from './strict-aedes.ts';

/** In SUBACK. */
const NOT_GRANTED = 128;

export type WatchParts = {
  readonly log: Logger;
  readonly holders: SessionHolders;
  readonly refusals: ClientRefusals;
  /** Its CONNACK went out. */
  readonly opened: (session: Session, client: Client) => void;
  /** Its SUBACK went out, with these filters of what its account shares. */
  readonly subscribed: (session: Session, filters: readonly string[]) => void;
};

/** Follows what aedes tells of sessions. */
export function watchSessions(aedes: StrictAedes, parts: WatchParts): void {
  const { log, holders, refusals, opened, subscribed } = parts;
  aedes.on('client', (client) => holders.registered(client));
  aedes.on('connackSent', ({ returnCode }, client) => {
    const session = sessionOf(client);
    if (session === undefined || returnCode !== 0 || client.closed) return;
    session.isConnected = true;
    opened(session, client);
  });
  aedes.on('subscribe', (subscriptions, client) => {
    const session = sessionOf(client);
    const granted = subscriptions.filter(({ topic, qos }) => Number(qos) !== NOT_GRANTED && isShared(topic));
    if (session !== undefined && granted.length > 0)
      subscribed(
        session,
        granted.map(({ topic }) => topic),
      );
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
    const whose = refusals.failed(client, error);
    const session = sessionOf(client);
    if (session === undefined) return;
    if (whose === 'device') session.endedBy ??= 'protocol';
    if (whose === 'ours') session.endedBy ??= 'internal';
  };
  aedes.on('clientError', failed);
  aedes.on('connectionError', failed);
  (aedes as NodeJS.EventEmitter).on('error', (error) => log.error({ err: error }, 'mqtt: sessions failed'));
}
