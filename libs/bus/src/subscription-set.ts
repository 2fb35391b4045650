import type { Subscription } from './bus.ts';

/** The subscriptions of a bus, so that it can end them all. */
export class SubscriptionSet implements AsyncDisposable {
  readonly #open = new Set<Subscription>();

  async add(opening: Subscription | Promise<Subscription>): Promise<Subscription> {
    const inner = await opening;
    let ended: Promise<void> | undefined;
    const subscription: Subscription = {
      [Symbol.asyncDispose]: () => {
        ended ??= Promise.resolve(inner[Symbol.asyncDispose]()).finally(() =>
          this.#open.delete(subscription),
        );
        return ended;
      },
    };
    this.#open.add(subscription);
    return subscription;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open].map((subscription) => subscription[Symbol.asyncDispose]()));
  }
}
