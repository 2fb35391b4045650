/** Lets the tasks of one id run one after the other, in the order of the calls. */
export class IdQueue {
  readonly #last = new Map<string, Promise<unknown>>();

  run<R>(id: string, task: () => Promise<R>): Promise<R> {
    const before = this.#last.get(id) ?? Promise.resolve();
    const result = before.then(task, task);
    this.#last.set(id, result);
    const forget = () => {
      if (this.#last.get(id) === result) this.#last.delete(id);
    };
    result.then(forget, forget);
    return result;
  }
}
