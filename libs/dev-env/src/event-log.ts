import { setTimeout } from 'node:timers/promises';
import type { EventType, SignetEvent } from '@signet/contracts';
import type { OperatorClient } from './operator-client.ts';

const RECONNECT_MS = 100;
const DEADLINE_MS = 20_000;

/** Every event of every account since the first start, as the operators' stream gives them, in the order of coming. */
export class EventLog implements AsyncDisposable {
  readonly all: SignetEvent[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #position: string | undefined;

  constructor(operator: OperatorClient) {
    this.#following = this.#follow(operator);
  }

  /** The first event that `which` picks, waited for. @throws Error naming the type where none comes in time */
  async find<T extends EventType>(
    type: T,
    which: (event: SignetEvent<T>) => boolean = () => true,
    deadlineMs = DEADLINE_MS,
  ): Promise<SignetEvent<T>> {
    const late = AbortSignal.timeout(deadlineMs);
    for (let seen = 0; ; ) {
      for (; seen < this.all.length; seen++) {
        const event = this.all[seen] as SignetEvent<T>;
        if (event.type === type && which(event)) return event;
      }
      if (late.aborted) {
        const same = this.all.filter((event) => event.type === type).map(({ data }) => JSON.stringify(data));
        throw new Error(
          `${type}: no such event within ${deadlineMs} ms; of that type came:\n${same.join('\n')}`,
        );
      }
      await this.#more(late);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#following;
  }

  #more(late: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    late.addEventListener('abort', () => resolve(), { once: true });
    return promise.finally(() => this.#waiting.delete(resolve));
  }

  /** Follows the stream, and comes back to where it was after admin-api was unavailable. */
  async #follow(operator: OperatorClient): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#read(operator, signal);
      } catch {
        await setTimeout(RECONNECT_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #read(operator: OperatorClient, signal: AbortSignal): Promise<void> {
    const from = this.#position ?? 'start';
    const response = await fetch(new URL(`/v1/accounts/-/events?from=${from}`, operator.url), {
      headers: { authorization: `Bearer ${operator.token}` },
      signal,
    });
    if (!response.ok || response.body === null) throw new Error(`events: ${response.status}`);
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      const frames = text.split('\n\n');
      text = frames.pop() ?? '';
      for (const frame of frames) this.#take(frame);
    }
  }

  #take(frame: string): void {
    const position = /^id: (.*)$/m.exec(frame)?.[1];
    const data = /^data: (.*)$/m.exec(frame)?.[1];
    if (position === undefined || data === undefined) return;
    this.#position = position;
    this.all.push(JSON.parse(data) as SignetEvent);
    for (const wake of this.#waiting) wake();
  }
}
