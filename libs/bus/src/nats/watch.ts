import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { type Repetition, repeatedly } from '@signet/async';
import { DEAD_STREAM, EVENT_STREAM, MQTT_DOWN_STREAM, MQTT_STREAM } from '@signet/contracts';
import type { ServerTime } from '../bus.ts';
import type { Connected, Link } from './link.ts';

const STREAMS = [EVENT_STREAM, MQTT_STREAM, MQTT_DOWN_STREAM, DEAD_STREAM] as const;
/** How often each stream is asked for. */
const LOOK_MS = 5000;
/** A stream that does not answer so often in a row has lost what it stood on. */
const MISSES = 2;

type Seen = { readonly at: number; readonly askedAt: number; readonly answeredAt: number };

/**
 * Asks for every stream, again and again: a stream whose only copy is lost takes nothing and gives nothing, though the
 * connection stands and plain messages go through. The answers also say what time the server has.
 */
export class Watch implements AsyncDisposable {
  readonly #link: Link;
  readonly #misses = new Map<string, number>();
  readonly #reasons = new Map<string, string>();
  readonly #looking: Repetition;
  #seen: Seen | undefined;

  constructor(link: Link, lookMs = LOOK_MS) {
    this.#link = link;
    this.#looking = repeatedly(() => this.#look(), {
      everyMs: lookMs,
      first: 'after-wait',
      onError: () => {},
      signal: link.closing,
    });
    void link.connected(link.closing).then(this.#looking.wake, () => undefined);
  }

  /** Why a stream cannot be used, if one cannot. */
  failure(): string | undefined {
    for (const [stream, misses] of this.#misses)
      if (misses >= MISSES) return `stream ${stream}: ${this.#reasons.get(stream) ?? 'no answer'}`;
    return undefined;
  }

  /** What time the server has by now, reckoned on from its last answer by the clock that nobody sets. */
  time(): ServerTime | undefined {
    if (this.#seen === undefined) return undefined;
    const { at, askedAt, answeredAt } = this.#seen;
    const now = performance.now();
    return { earliest: at + now - answeredAt, latest: at + now - askedAt };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { connection, up, closing } = this.#link;
    if (connection === undefined || !up || closing.aborted) return;
    await Promise.all(STREAMS.map((stream) => this.#ask(connection, stream)));
  }

  async #ask(connected: Connected, stream: string): Promise<void> {
    const askedAt = performance.now();
    try {
      const { ts } = (await connected.jsm.streams.info(stream)) as { readonly ts?: string };
      const at = Date.parse(ts ?? '');
      if (stream === EVENT_STREAM && Number.isFinite(at))
        this.#seen = { at, askedAt, answeredAt: performance.now() };
      this.#misses.delete(stream);
    } catch (error) {
      // what a lost connection took with it says nothing of the stream
      if (!this.#link.up) return;
      this.#misses.set(stream, (this.#misses.get(stream) ?? 0) + 1);
      this.#reasons.set(stream, error instanceof Error ? error.message : String(error));
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)
        await this.#link.repair(connected).catch(() => undefined);
    }
  }
}
