/** What the agent uses of the language that Node 20 does not have yet. Imported before all else, by the package alone. */

/** As the standard has it, of the calls that are made here. */
export class DisposableStack implements AsyncDisposable {
  #disposers: (() => PromiseLike<void> | void)[] = [];
  #isDisposed = false;

  get disposed(): boolean {
    return this.#isDisposed;
  }

  use<T extends AsyncDisposable | Disposable | null | undefined>(value: T): T {
    if (value === null || value === undefined) return value;
    this.defer(() => (Symbol.asyncDispose in value ? value[Symbol.asyncDispose]() : value[Symbol.dispose]()));
    return value;
  }

  adopt<T>(value: T, dispose: (value: T) => PromiseLike<void> | void): T {
    this.defer(() => dispose(value));
    return value;
  }

  defer(dispose: () => PromiseLike<void> | void): void {
    if (this.#isDisposed) throw new ReferenceError('the stack is disposed of already');
    this.#disposers.push(dispose);
  }

  move(): DisposableStack {
    if (this.#isDisposed) throw new ReferenceError('the stack is disposed of already');
    const moved = new DisposableStack();
    moved.#disposers = this.#disposers;
    this.#disposers = [];
    this.#isDisposed = true;
    return moved;
  }

  /** The last first, each whatever becomes of the others; what the first of them failed with is thrown. */
  async disposeAsync(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const failures: unknown[] = [];
    for (const dispose of this.#disposers.toReversed()) {
      try {
        await dispose();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disposeAsync();
  }
}

export function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: PromiseWithResolvers<T>['resolve'] = () => {};
  let reject: PromiseWithResolvers<T>['reject'] = () => {};
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}

Promise.withResolvers ??= withResolvers;
globalThis.AsyncDisposableStack ??= DisposableStack as unknown as AsyncDisposableStackConstructor;
