import type { DenyKeys } from './deny-key.ts';
import { ExpiryHeap } from './expiry-heap.ts';

/**
 * Longest wait of the expiry timer, and the time between ticks: within it a clock that was set is noticed. (And a
 * `setTimeout` of more than 2³¹ ms fires at once.)
 */
const LONGEST_WAIT_MS = 60_000;

export type EndReason = 'denied' | 'expired';

export type SessionEntry = {
  readonly keys: DenyKeys;
  /** Unix ms at which the session ends: the certificate's notAfter. */
  readonly notAfter: number;
  /** Called at most once, and never after `leave`. Must cut the connection, and return at once. */
  readonly end: (reason: EndReason) => void;
};

export type SessionHandle = {
  /** Takes the session out; to be called when its connection is closed. Calling it again does nothing. */
  leave(): void;
};

/** Calls `fire` after `ms`; the returned function calls it off. */
export type StartTimer = (fire: () => void, ms: number) => () => void;

/** Calls the listener once a minute of monotonic time until disposed. */
export type MinuteTicks = { on(listener: () => void): Disposable };

type Session = SessionEntry & { place: number; left: boolean };

/**
 * Live sessions by the hashes under which they can be denied, and by when they expire. A socket is entered at
 * `secureConnection`, before it is checked: what a delta names is then found here, however far the broker has come.
 * Ends of sessions are times of the wall clock, which may be set: it is read at each tick, and a timer is set only for
 * an end that comes before the next one.
 */
export class SessionIndex implements Disposable {
  readonly #now: () => number;
  readonly #startTimer: StartTimer;
  readonly #onError: (error: unknown) => void;
  /** A set only where there are several: most sessions are alone under all their keys. */
  readonly #byKey = new Map<string, Session | Set<Session>>();
  readonly #expiries = new ExpiryHeap<Session>();
  readonly #ticking: Disposable | undefined;
  #stopTimer: (() => void) | undefined;
  /** The end for which the timer is set; `Infinity` where it is not. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** `now` in Unix ms. Without `ticks` the timer is set at least once a minute. `onError` hears of an `end` that threw; the others are ended anyway. */
  constructor(options: {
    readonly now: () => number;
    readonly startTimer?: StartTimer;
    readonly ticks?: MinuteTicks;
    readonly onError: (error: unknown) => void;
  }) {
    this.#now = options.now;
    this.#startTimer = options.startTimer ?? startUnrefTimer;
    this.#onError = options.onError;
    this.#ticking = options.ticks?.on(() => this.#wake());
  }

  /** Sessions that are in. */
  get size(): number {
    return this.#expiries.size;
  }

  enter(entry: SessionEntry): SessionHandle {
    // the clock was set forward, or the timer is late
    if (this.#now() >= (this.#expiries.first()?.notAfter ?? Number.POSITIVE_INFINITY)) this.#wake();
    const session: Session = { ...entry, place: -1, left: false };
    for (const key of keysOf(session)) {
      const found = this.#byKey.get(key);
      if (found instanceof Set) found.add(session);
      else this.#byKey.set(key, found === undefined ? session : new Set([found, session]));
    }
    this.#expiries.add(session);
    this.#arm();
    return { leave: () => this.#leave(session) };
  }

  /** Ends the sessions that one of these keys denies. @returns how many */
  endDenied(keys: Iterable<string>): number {
    let ended = 0;
    for (const key of keys) {
      for (const session of this.#under(key)) {
        this.#end(session, 'denied');
        ended++;
      }
    }
    return ended;
  }

  /** Asks again for every live session: to be called after any reload. @returns how many were ended */
  recheck(has: (key: string) => boolean): number {
    return this.endDenied([...this.#byKey.keys()].filter(has));
  }

  /** Stops the timer. Sessions stay as they are: their owner closes them. */
  [Symbol.dispose](): void {
    this.#ticking?.[Symbol.dispose]();
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#dueAt = Number.NEGATIVE_INFINITY;
  }

  #under(key: string): readonly Session[] {
    const found = this.#byKey.get(key);
    if (found === undefined) return [];
    return found instanceof Set ? [...found] : [found];
  }

  #leave(session: Session): void {
    if (session.left) return;
    session.left = true;
    this.#expiries.remove(session);
    for (const key of keysOf(session)) {
      const found = this.#byKey.get(key);
      if (found instanceof Set) found.delete(session);
      if (found === session || (found instanceof Set && found.size === 0)) this.#byKey.delete(key);
    }
  }

  #end(session: Session, reason: EndReason): void {
    if (session.left) return;
    this.#leave(session);
    try {
      session.end(reason);
    } catch (error) {
      this.#onError(error);
    }
  }

  #arm(): void {
    const first = this.#expiries.first();
    if (first === undefined || first.notAfter >= this.#dueAt) return;
    const wait = Math.max(first.notAfter - this.#now(), 0);
    // the next tick comes first
    if (this.#ticking !== undefined && wait > LONGEST_WAIT_MS) return;
    this.#stopTimer?.();
    this.#dueAt = first.notAfter;
    this.#stopTimer = this.#startTimer(() => this.#wake(), Math.min(wait, LONGEST_WAIT_MS));
  }

  #wake(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#dueAt = Number.POSITIVE_INFINITY;
    const now = this.#now();
    for (let first = this.#expiries.first(); first !== undefined; first = this.#expiries.first()) {
      if (first.notAfter > now) break;
      this.#end(first, 'expired');
    }
    this.#arm();
  }
}

function keysOf({ keys }: SessionEntry): string[] {
  const { certificate, key, fingerprint, ca, device, account } = keys;
  return [certificate, key, fingerprint, ca, device, account].filter((each) => each !== undefined);
}

const startUnrefTimer: StartTimer = (fire, ms) => {
  const timer = setTimeout(fire, ms).unref();
  return () => clearTimeout(timer);
};
