import type { TLSSocket } from 'node:tls';
import { type DisconnectReason, uuidv7 } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { sessionEndOf } from '@signet/service';
import type { Client } from 'aedes';
import { grantedQos, type Owner, sessionKey } from '../domain/topic/topic-rules.ts';
import { innerOf } from './aedes.ts';
import type { Outbox } from './outbox.ts';
import type { PacketRouter } from './packet-router.ts';

/** What the broker knows of one connection whose certificate was admitted. */
export type Session = {
  readonly id: string;
  readonly owner: Owner;
  /** `<account>/<device>`: the id under which aedes and its persistence know the client. */
  readonly key: string;
  readonly peer: VerifiedPeer;
  readonly address: string;
  readonly socket: TLSSocket;
  /** The filters that it holds, and the QoS of each. */
  readonly subscriptions: Map<string, Subscription>;
  /** The highest QoS that these grant for a topic; undefined where none takes it in. */
  readonly granted: (topic: string) => number | undefined;
  /** All that leaves for the device. */
  readonly outbox: Outbox;
  /** Packet identifiers of QoS 2 messages that are on the bus, and that the device has not released. */
  readonly unreleased: Set<number>;
  /** Those of these whose release is being stored. */
  readonly releasing: Set<number>;
  /** The same of those that are on their way there. */
  readonly receiving: Map<number, Promise<void>>;
  /** Its claim to the session (see `Claim` of the session store); undefined until it has one. */
  claim: number | undefined;
  /** The highest claim of another node that was heard of while this connection had none; 0 for none. */
  supersededBy: number;
  /** Whether there was a session when it connected. */
  isPresent: boolean;
  /** Its will as aedes has it, while that may yet be published. */
  will?: object;
  /** The bus's answer to what it published last: acknowledgements go out in the order of the messages. */
  lastStored: Promise<void>;
  /** Whether its CONNACK went out, and the platform was told. */
  isConnected: boolean;
  /** Another node has it now. */
  isElsewhere: boolean;
  /** Reads its connection. */
  router?: PacketRouter;
  /** Why the session ended, once somebody has said so. */
  endedBy?: DisconnectReason;
};

export type Subscription = { readonly filter: string; readonly qos: 0 | 1 | 2 };

const sessions = new WeakMap<object, Session>();

/** Enters the session of a verified peer, found again by its socket. */
export function openSession(
  socket: TLSSocket,
  peer: VerifiedPeer,
  owner: Owner,
  address: string,
  now: number,
  outboxOf: (session: Omit<Session, 'outbox'>) => Outbox,
): Session {
  const subscriptions = new Map<string, Subscription>();
  const session: Omit<Session, 'outbox'> = {
    id: uuidv7(now),
    owner,
    key: sessionKey(owner),
    peer,
    address,
    socket,
    subscriptions,
    granted: (topic) => grantedQos(subscriptions.values(), topic),
    unreleased: new Set(),
    releasing: new Set(),
    receiving: new Map(),
    claim: undefined,
    supersededBy: 0,
    isPresent: false,
    lastStored: Promise.resolve(),
    isConnected: false,
    isElsewhere: false,
  };
  const whole = Object.assign(session, { outbox: outboxOf(session) });
  sessions.set(socket, whole);
  return whole;
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
