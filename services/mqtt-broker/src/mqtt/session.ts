import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import { uuidv7 } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import type { Client } from 'aedes';
import { type Owner, sessionKey } from '../domain/topic-rules.ts';

/** What the broker knows of one connection whose certificate was admitted. */
export type Session = {
  readonly id: string;
  readonly owner: Owner;
  /** `<account>/<device>`: the id under which aedes and the persistence know the client. */
  readonly key: string;
  readonly peer: VerifiedPeer;
  readonly address: string;
  readonly socket: TLSSocket;
  subscriptions: number;
  /** Why the session ended, once somebody has said so. */
  endedBy?: DisconnectReason;
};

const sessions = new WeakMap<object, Session>();

/** Enters the session of a verified peer, found again by its socket. */
export function openSession(
  socket: TLSSocket,
  peer: VerifiedPeer,
  owner: Owner,
  address: string,
  now: number,
): Session {
  const session: Session = {
    id: uuidv7(now),
    owner,
    key: sessionKey(owner),
    peer,
    address,
    socket,
    subscriptions: 0,
  };
  sessions.set(socket, session);
  return session;
}

/** The session of a client that aedes hands us; undefined for one that was not admitted. */
export function sessionOf(client: Client | null): Session | undefined {
  return client === null ? undefined : sessions.get(client.conn);
}
