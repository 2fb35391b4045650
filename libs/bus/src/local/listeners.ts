import type { Message, Subscription } from '../bus.ts';
import type { Log } from '../log.ts';

type Listener = { readonly tokens: readonly string[]; readonly handler: (message: Message) => void };

/** Plain messages within the process. */
export class Listeners {
  readonly #log: Log;
  readonly #listeners = new Set<Listener>();

  constructor(log: Log) {
    this.#log = log;
  }

  add(subject: string, handler: (message: Message) => void): Subscription {
    const listener: Listener = { tokens: subject.split('.'), handler };
    this.#listeners.add(listener);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#listeners.delete(listener);
      },
    };
  }

  send(message: Message): void {
    const tokens = message.subject.split('.');
    for (const { tokens: filter, handler } of this.#listeners) {
      if (!matches(filter, tokens)) continue;
      try {
        handler(message);
      } catch (err) {
        this.#log.error({ err, subject: message.subject }, 'a listener failed');
      }
    }
  }
}

/** As in NATS: `*` is one token, `>` one or more at the end. */
function matches(filter: readonly string[], tokens: readonly string[]): boolean {
  if (filter.at(-1) === '>') {
    return tokens.length >= filter.length && matches(filter.slice(0, -1), tokens.slice(0, filter.length - 1));
  }
  return filter.length === tokens.length && filter.every((token, i) => token === '*' || token === tokens[i]);
}
