import type { Message, Subscription } from '../bus.ts';
import type { Log } from '../log.ts';

type Listener = {
  readonly tokens: readonly string[];
  readonly handler: (message: Message) => void | Promise<void>;
};

/** Subjects whose listeners are remembered. */
const REMEMBERED = 10_000;

/** Plain messages within the process. */
export class Listeners {
  readonly #log: Log;
  readonly #listeners = new Set<Listener>();
  readonly #bySubject = new Map<string, readonly Listener[]>();

  constructor(log: Log) {
    this.#log = log;
  }

  add(subject: string, handler: Listener['handler']): Subscription {
    const listener: Listener = { tokens: subject.split('.'), handler };
    this.#listeners.add(listener);
    this.#bySubject.clear();
    return {
      [Symbol.asyncDispose]: async () => {
        this.#listeners.delete(listener);
        this.#bySubject.clear();
      },
    };
  }

  send(subject: string, payload: Uint8Array): void {
    for (const { handler } of this.#of(subject)) {
      try {
        handler({ subject, payload })?.catch((err: unknown) => this.#failed(subject, err));
      } catch (err) {
        this.#failed(subject, err);
      }
    }
  }

  /** @throws what the listener failed with */
  async request(message: Message): Promise<'taken' | 'nobody'> {
    const [first] = this.#of(message.subject);
    if (first === undefined) return 'nobody';
    await first.handler(message);
    return 'taken';
  }

  #of(subject: string): readonly Listener[] {
    return this.#bySubject.get(subject) ?? this.#remember(subject);
  }

  #failed(subject: string, err: unknown): void {
    this.#log.error({ err, subject }, 'a listener failed');
  }

  #remember(subject: string): readonly Listener[] {
    const tokens = subject.split('.');
    const listeners = [...this.#listeners].filter((listener) => matches(listener.tokens, tokens));
    if (this.#bySubject.size >= REMEMBERED) this.#bySubject.clear();
    this.#bySubject.set(subject, listeners);
    return listeners;
  }
}

/** As in NATS: `*` is one token, `>` one or more at the end. */
function matches(filter: readonly string[], tokens: readonly string[]): boolean {
  if (filter.at(-1) === '>') {
    return tokens.length >= filter.length && matches(filter.slice(0, -1), tokens.slice(0, filter.length - 1));
  }
  return filter.length === tokens.length && filter.every((token, i) => token === '*' || token === tokens[i]);
}
