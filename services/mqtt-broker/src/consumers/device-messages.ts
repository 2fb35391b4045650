import {
  type Bus,
  BusError,
  type ListenOptions,
  type Message,
  type StoredMessage,
  type Subscription,
} from '@signet/bus';
import {
  deviceTopic,
  handedSubject,
  handSubject,
  parseMqttSubject,
  parseSharedSubject,
  sharedTopic,
} from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { CleanSessions } from '../domain/session/session-store.ts';
import { mayReceive, type Owner, sessionKey } from '../domain/topic/topic-rules.ts';

/** Takes messages for a device: `signet.mqtt.<account>.<device>.down.…`, as a topic. */
export type Deliver = (owner: Owner, topic: string, payload: Uint8Array) => void;
/**
 * The same of a message that is not lost: resolves once it is in the device's queue, or sent if its session has none.
 * `id` tells it from others where it may come again; `isLast`: no node has the session. False: nobody here has it.
 */
export type Put = (
  owner: Owner,
  topic: string,
  payload: Uint8Array,
  id?: string,
  isLast?: boolean,
) => Promise<boolean>;

/**
 * From topics to the bus: downstream systems need no MQTT. Stored (QoS 1 and 2): resolves once the bus has the message,
 * fails after `deadlineMs`. Else it is handed on, not stored.
 */
export function uplinkTo(bus: Bus, deadlineMs: number) {
  const options = { stored: true, deadlineMs };
  return (subject: string, payload: Uint8Array, stored: boolean): Promise<void> =>
    stored ? bus.send(subject, payload, options) : bus.send(subject, payload);
}

type MailboxParts = {
  readonly bus: Bus;
  readonly deliver: Deliver;
  readonly put: Put;
  readonly missed: Missed;
};

/** Messages for this device may have gone past this node until `renewed`: what waits for it is to be looked for. */
export type Missed = (owner: Owner, renewed: Promise<void>) => void;

/**
 * Subscribes to plain messages for devices. A node with sessions of its own (no `clean`) subscribes to those of all
 * devices at once; nodes that share their sessions subscribe to those of their devices.
 */
export async function openMailboxes({
  clean,
  ...parts
}: MailboxParts & { readonly clean: CleanSessions | undefined }) {
  if (clean !== undefined) return new DeviceMailboxes({ ...parts, clean });
  const all = await listenDown(parts.bus, 'signet.mqtt.*.*.down.>', parts.deliver);
  return {
    open: async () => {},
    claimed() {},
    close() {},
    [Symbol.asyncDispose]: () => all[Symbol.asyncDispose](),
  };
}

/**
 * One subscription for each device that has its session on this node, so that a message goes to one node only. A
 * session that outlives its connection keeps its subscription here until another node has it.
 */
class DeviceMailboxes implements AsyncDisposable {
  readonly #bus: Bus;
  readonly #deliver: Deliver;
  readonly #put: Put;
  readonly #missed: Missed;
  readonly #clean: CleanSessions;
  readonly #open = new Map<string, { readonly opening: Promise<Subscription>; claim: number }>();

  constructor(parts: MailboxParts & { readonly clean: CleanSessions }) {
    this.#bus = parts.bus;
    this.#deliver = parts.deliver;
    this.#put = parts.put;
    this.#missed = parts.missed;
    this.#clean = parts.clean;
  }

  get size(): number {
    return this.#open.size;
  }

  async open({ account, deviceId }: Owner, { clean }: { readonly clean: boolean }): Promise<void> {
    const subject = mailbox(account, deviceId);
    if (clean) await this.#clean.opened(sessionKey({ account, deviceId }));
    const known = this.#open.get(subject);
    if (known !== undefined) {
      await known.opening;
      return;
    }
    const opening = listenDown(this.#bus, subject, this.#deliver, {
      put: this.#put,
      onGap: (renewed) => this.#missed({ account, deviceId }, renewed),
    });
    this.#open.set(subject, { opening, claim: 0 });
    try {
      await opening;
    } catch (error) {
      this.#open.delete(subject);
      throw error;
    }
  }

  claimed({ account, deviceId }: Owner, claim: number): void {
    const known = this.#open.get(mailbox(account, deviceId));
    if (known !== undefined) known.claim = claim;
  }

  close({ account, deviceId }: Owner, claim = Number.POSITIVE_INFINITY): void {
    const subject = mailbox(account, deviceId);
    const known = this.#open.get(subject);
    if (known !== undefined && known.claim > claim) return;
    this.#open.delete(subject);
    this.#clean.closed(sessionKey({ account, deviceId }));
    known?.opening.then(
      (opened) => opened[Symbol.asyncDispose](),
      () => {},
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = await Promise.allSettled(Array.from(this.#open.values(), ({ opening }) => opening));
    this.#open.clear();
    for (const outcome of all) if (outcome.status === 'fulfilled') await outcome.value[Symbol.asyncDispose]();
  }
}

/** What is told to all devices of an account: every node hears it, and tells those that it holds. */
export function listenShared(
  bus: Bus,
  deliver: (account: string, topic: string, payload: Uint8Array) => void,
): Promise<Subscription> {
  return bus.listen('signet.shared.>', ({ subject, payload }) => {
    const parsed = parseSharedSubject(subject);
    if (parsed === undefined) return;
    deliver(parsed.account, sharedTopic(parsed.account, parsed.levels), payload);
  });
}

/** What is sent to a device (`signet.mqtt.…`), and what another node passes on for it (`signet.hand.…`). */
function mailbox(account: string, deviceId: string): string {
  return `signet.*.${account}.${deviceId}.down.>`;
}

function listenDown(
  bus: Bus,
  subject: string,
  deliver: Deliver,
  { put, ...options }: ListenOptions & { readonly put?: Put } = {},
): Promise<Subscription> {
  const take = async (message: Message) => {
    const handed = handedSubject(message.subject);
    const parsed = parseMqttSubject(handed ?? message.subject);
    if (parsed === undefined) return;
    const { account, device, way, levels } = parsed;
    const topic = deviceTopic({ account, device, way, levels });
    if (handed === undefined) deliver({ account, deviceId: device }, topic, message.payload);
    else await put?.({ account, deviceId: device }, topic, message.payload);
  };
  return bus.listen(subject, take, options);
}

type Parts = { readonly bus: Bus; readonly log: Logger; readonly put: Put };
type Addressed = { readonly owner: Parameters<Put>[0]; readonly topic: string };

/**
 * Takes the messages that were stored for devices. Where one node has all sessions (no `clean`), it puts them into the
 * session. Where nodes share sessions, it puts them into the queue of the session, whichever node has that; that node is
 * told. A session without a queue is on the node to which its device is connected, so that node is handed the message,
 * as is a node of version 0.1 that has the session; while that node cannot be reached, the message is tried again.
 */
export function takeStored({
  clean,
  ...parts
}: Parts & { readonly clean: CleanSessions | undefined }): Promise<Subscription> {
  const { bus, put } = parts;
  if (clean === undefined)
    return takeAddressed(parts, ({ owner, topic }, { payload, id }) => put(owner, topic, payload, id));
  return takeAddressed(parts, async ({ owner, topic }, { subject, payload, id }) => {
    if (await put(owner, topic, payload, id)) return;
    if ((await bus.requestRaw(handSubject(subject), payload)) === 'taken') return;
    if (await put(owner, topic, payload, id, true)) return;
    if (await clean.isElsewhere(sessionKey(owner)))
      throw new BusError('unavailable', 'the node to which the device is connected does not hear the bus');
  });
}

/** What names no topic that a device could have can never be put anywhere: it is dropped, so that others do not wait for it. */
function takeAddressed(
  { bus, log }: Parts,
  take: (to: Addressed, message: StoredMessage) => Promise<unknown>,
): Promise<Subscription> {
  return bus.consumeDownlink(async (message) => {
    const to = addressed(message.subject);
    if (to === undefined) {
      const { subject } = message;
      log.warn(
        { subject: subject.slice(0, 256), bytes: subject.length },
        'mqtt: dropped a message whose subject is not a topic of a device',
      );
    } else await take(to, message);
  });
}

function addressed(subject: string): Addressed | undefined {
  try {
    const parsed = parseMqttSubject(subject);
    if (parsed === undefined) return undefined;
    const { account, device: deviceId } = parsed;
    const to = { owner: { account, deviceId }, topic: deviceTopic(parsed) };
    // longer than the bus bears, or with more levels than aedes does
    return mayReceive(to.owner, to.topic) ? to : undefined;
  } catch (error) {
    // levels that are no percent-encoded UTF-8
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
