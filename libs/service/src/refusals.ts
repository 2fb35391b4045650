import {
  Account,
  DeviceId,
  type EventType,
  Fingerprint,
  KeyId,
  newEvent,
  PLATFORM_ACCOUNT,
  type Refusal,
  type RefusalCode,
  SerialNumber,
  type SignetEvent,
} from '@signet/contracts';
import { EventQueue } from './event-queue.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** The listeners of the platform. */
export type Listener = 'bootstrap' | 'est' | 'gateway' | 'mqtt' | 'mqtt-provisioning';

const eventOf = {
  bootstrap: 'BOOTSTRAP_REFUSED',
  est: 'ENROLLMENT_REFUSED',
  gateway: 'DEVICE_REFUSED',
  mqtt: 'DEVICE_REFUSED',
  'mqtt-provisioning': 'BOOTSTRAP_REFUSED',
} as const satisfies Record<Listener, EventType>;

/** The service that listens: its name is the event's source. */
const serviceOf = {
  bootstrap: 'bootstrap',
  est: 'est-ca',
  gateway: 'provisioning',
  mqtt: 'mqtt-broker',
  'mqtt-provisioning': 'mqtt-broker',
} as const satisfies Record<Listener, string>;

/** What is known of a refusal. Everything but `listener` and `code` may come from the peer, and is cut and cleaned. */
export type RefusalFacts = {
  readonly listener: Listener;
  readonly code: RefusalCode;
  readonly message: string;
  /** Only an account that was verified; never one that the peer merely names. */
  readonly account?: string | undefined;
  readonly deviceId?: string | undefined;
  /** SHA-256 of the certificate that was shown, hex. */
  readonly fingerprint?: string | undefined;
  readonly issuer?: string | undefined;
  /** Of a verified certificate that is denied. */
  readonly serialNumber?: string | undefined;
  readonly issuerKeyId?: string | undefined;
  readonly profile?: string | undefined;
  readonly address?: string | undefined;
};

type Window = {
  readonly facts: RefusalFacts;
  count: number;
  readonly timer: NodeJS.Timeout;
  /** Of which it is one. */
  readonly groups: readonly Group[];
};

/** Windows that have a bound together. */
type Group = { readonly name: string; readonly bound: number };

/**
 * How many refusals within a window are told apart: of peers that proved no account, at all listeners and of one address
 * of a listener; and of the devices of one account. Ten seconds of strangers make 200 events and a few at most.
 */
const BOUNDS = { strangers: 100, address: 10, account: 1000 } as const;

/**
 * Says every refusal in the log, the metrics and an event. Like refusals (listener, code, address, fingerprint, device if proven) within
 * the window are coalesced: the first goes out at once, the rest as one event with their `count` at the window's end.
 * A certificate is made in no time, so what a stranger shows tells few refusals apart: {@link BOUNDS}. Beyond that they
 * are counted together, by address or by code; each is in the log and the metrics anyway.
 * Never blocks and never throws; while the bus is unavailable events wait in a bounded queue.
 */
export class RefusalReporter implements AsyncDisposable {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #now: () => number;
  readonly #windowMs: number;
  readonly #maxWindows: number;
  readonly #windows = new Map<string, Window>();
  /** Open windows of each group. */
  readonly #open = new Map<string, number>();
  readonly #queue: EventQueue;

  constructor(options: {
    readonly bus: {
      publish(events: readonly SignetEvent[], options?: { signal?: AbortSignal }): Promise<void>;
    };
    readonly log: Logger;
    readonly metrics: Metrics;
    readonly now: () => number;
    readonly windowMs?: number;
    /** How many different refusals are told apart at a time; beyond it address and fingerprint are left out. */
    readonly maxWindows?: number;
    /** How many events wait for the bus. */
    readonly queueLength?: number;
  }) {
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#now = options.now;
    this.#windowMs = options.windowMs ?? 10_000;
    this.#maxWindows = options.maxWindows ?? 10_000;
    this.#queue = new EventQueue({
      publish: (events, publishOptions) => options.bus.publish(events, publishOptions),
      capacity: options.queueLength ?? 2000,
      onDrop: (events, cause) => this.#dropped(events, cause),
    });
  }

  report(raw: RefusalFacts): void {
    const facts = cleaned(raw);
    this.#log.info(facts, `refused: ${facts.code}`);
    this.#metrics.refusals.add({ listener: facts.listener, code: facts.code });
    const device = facts.account === undefined ? '' : `${facts.account}/${facts.deviceId}`;
    const own = `${facts.listener} ${facts.code} ${facts.address} ${facts.fingerprint} ${device}`;
    const { key, known, groups } = this.#place(own, facts);
    const window = this.#windows.get(key);
    if (window !== undefined) {
      window.count++;
      return;
    }
    const timer = setTimeout(() => this.#endWindow(key), this.#windowMs);
    timer.unref();
    this.#windows.set(key, { facts: known, count: 0, timer, groups });
    for (const { name } of groups) this.#open.set(name, (this.#open.get(name) ?? 0) + 1);
    this.#send(known, 1);
  }

  /** Ends all windows and waits for the queue, at most `deadlineMs`. */
  async close(deadlineMs = 2000): Promise<void> {
    for (const [key, { timer }] of this.#windows) {
      clearTimeout(timer);
      this.#endWindow(key);
    }
    await this.#queue.close(deadlineMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The window that a refusal falls into: its own, as long as there is room for it. */
  #place(own: string, facts: RefusalFacts) {
    const { listener, code, account, address } = facts;
    const strangers = { name: 'strangers', bound: BOUNDS.strangers };
    const ofAddress = { name: `address ${listener} ${address}`, bound: BOUNDS.address };
    const groups =
      account === undefined
        ? [ofAddress, strangers]
        : [{ name: `account ${account}`, bound: BOUNDS.account }];
    if (this.#hasRoom(own, groups)) return { key: own, known: facts, groups };
    const bare = { ...facts, ...unknownPeer };
    if (account !== undefined && this.#windows.size < this.#maxWindows)
      return { key: `${listener} ${code} of ${account}`, known: bare, groups: [] };
    const atAddress = `${listener} ${code} at ${address}`;
    if (account === undefined && this.#hasRoom(atAddress, [strangers]))
      return { key: atAddress, known: { ...bare, address }, groups: [strangers] };
    return { key: `${listener} ${code}`, known: { ...bare, account: undefined }, groups: [] };
  }

  #hasRoom(key: string, groups: readonly Group[]): boolean {
    if (this.#windows.has(key)) return true;
    if (this.#windows.size >= this.#maxWindows) return false;
    return groups.every(({ name, bound }) => (this.#open.get(name) ?? 0) < bound);
  }

  #endWindow(key: string): void {
    const window = this.#windows.get(key);
    this.#windows.delete(key);
    for (const { name } of window?.groups ?? []) {
      const left = (this.#open.get(name) ?? 1) - 1;
      if (left === 0) this.#open.delete(name);
      else this.#open.set(name, left);
    }
    if (window !== undefined && window.count > 0) this.#send(window.facts, window.count);
  }

  #send(facts: RefusalFacts, count: number): void {
    const { account, ...rest } = facts;
    const known = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const data = { ...known, count } as Refusal;
    try {
      this.#queue.push(
        newEvent(eventOf[facts.listener], {
          account: account ?? PLATFORM_ACCOUNT,
          subject: facts.deviceId ?? facts.fingerprint ?? 'unknown',
          data,
          time: this.#now(),
          service: serviceOf[facts.listener],
        }),
      );
    } catch (error) {
      this.#log.error({ err: error, ...facts }, 'refusal: the event could not be made');
    }
  }

  #dropped(events: readonly SignetEvent[], cause: unknown): void {
    for (const event of events) {
      const { data } = event as SignetEvent<'DEVICE_REFUSED'>;
      this.#metrics.refusalEventsDropped.add({ listener: data.listener });
      this.#log.error(
        { ...data, type: event.type, err: cause },
        'refusal: event dropped, the bus did not take it',
      );
    }
  }
}

const unknownPeer = {
  ...{ address: undefined, fingerprint: undefined, deviceId: undefined, issuer: undefined },
  ...{ serialNumber: undefined, issuerKeyId: undefined },
};

/** What the peer wrote is kept from breaking the log or growing an event. */
function cleaned(facts: RefusalFacts): RefusalFacts {
  return {
    listener: facts.listener,
    code: facts.code,
    message: plain(facts.message) ?? '',
    account: valid(Account, facts.account),
    deviceId: valid(DeviceId, facts.deviceId),
    fingerprint: valid(Fingerprint, facts.fingerprint),
    issuer: plain(facts.issuer),
    serialNumber: valid(SerialNumber, facts.serialNumber),
    issuerKeyId: valid(KeyId, facts.issuerKeyId),
    profile: plain(facts.profile),
    address: plain(facts.address),
  };
}

function valid(schema: typeof Account, value: string | undefined): string | undefined {
  return value !== undefined && schema.safeParse(value).success ? value : undefined;
}

function plain(text: string | undefined): string | undefined {
  return text?.slice(0, 256).replace(/\p{C}/gu, '\u{FFFD}');
}
