import { type Collection, type CollectionSpec, type Store, type Stored, StoreError } from '@signet/store';

/**
 * A store that a test takes away and brings back: while it is offline, everything fails as a lost server does. And where a
 * test says what somebody else does between a read and the write that rests on it.
 */
export class SwitchableStore implements Store {
  away = false;
  /** Done once, before the next update or removal in a collection of this name, which goes on after it. */
  beforeUpdate: { readonly of: string; readonly does: () => Promise<unknown> } | undefined;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async collection<T extends Stored, I extends string>(
    spec: CollectionSpec<T, I>,
  ): Promise<Collection<T, I>> {
    this.#demand();
    const collection = await this.#store.collection(spec);
    const demand = () => this.#demand();
    const meanwhile = () => this.#meanwhile(spec.name);
    return new Proxy(collection, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...given: unknown[]) => {
          demand();
          if (name === 'update' || name === 'remove') await meanwhile();
          return value.apply(target, given);
        };
      },
    });
  }

  failure(): string | undefined {
    return this.away ? 'away' : this.#store.failure();
  }

  unsentMs(): number {
    return this.#store.unsentMs();
  }

  serverTime(): ReturnType<Store['serverTime']> {
    return this.#store.serverTime();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#store[Symbol.asyncDispose]());
  }

  async #meanwhile(name: string): Promise<void> {
    const before = this.beforeUpdate;
    if (before?.of !== name) return;
    this.beforeUpdate = undefined;
    await before.does();
  }

  #demand(): void {
    if (this.away) throw new StoreError('unavailable', 'test: the store is unavailable');
  }
}
