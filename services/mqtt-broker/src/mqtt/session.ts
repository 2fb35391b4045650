import type { TLSSocket } from 'node:tls';
import type { DisconnectReason } from '@signet/contracts';
import { uuidv7 } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { sessionEndOf } from '@signet/service';
import type { Client } from 'aedes';
import { type Owner, sessionKey } from '../domain/topic-rules.ts';
import { innerOf } from './aedes-client.ts';
import type { PacketFront } from './packet-front.ts';

/** What the broker knows of one connection whose certificate was admitted. */
export type Session = {
  readonly id: string;
  readonly owner: Owner;
  /** `<account>/<device>`: the id under which aedes and its persistence know the client. */
  readonly key: string;
  readonly peer: VerifiedPeer;
  readonly address: string;
  readonly socket: TLSSocket;
  /** The filters that it holds. */
  readonly subscriptions: Set<string>;
  /** The bus's answer to what it published last: acknowledgements go out in the order of the messages. */
  lastStored: Promise<void>;
  /** Whether its CONNACK went out, and the platform was told. */
  isConnected: boolean;
  /** Another node has it now. */
  isElsewhere: boolean;
  /** Reads its connection. */
  front?: PacketFront;
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
): void {
  sessions.set(socket, {
    id: uuidv7(now),
    owner,
    key: sessionKey(owner),
    peer,
    address,
    socket,
    subscriptions: new Set(),
    lastStored: Promise.resolve(),
    isConnected: false,
    isElsewhere: false,
  });
}

/** The session of a client that aedes hands us; undefined for one that was not admitted. */
export function sessionOf(client: Client | null): Session | undefined {
  return client === null ? undefined : sessions.get(client.conn);
}

/** Why a session ended: what the platform did, what was said, else what the socket tells. */
export function endOf(session: Session, client: Client): DisconnectReason {
  const end = sessionEndOf(session.socket);
  if (end !== undefined) return end === 'expired' ? 'expired' : 'denied';
  if (session.endedBy !== undefined) return session.endedBy;
  return innerOf(client)._disconnected ? 'client' : 'network';
}
