/** Functions that are called at each change. */
export class Listeners<T> {
  readonly #functions = new Set<(value: T) => void>();

  add(listener: (value: T) => void): Disposable {
    const own = (value: T) => listener(value);
    this.#functions.add(own);
    return { [Symbol.dispose]: () => void this.#functions.delete(own) };
  }

  call(value: T): void {
    for (const listener of this.#functions) listener(value);
  }
}
