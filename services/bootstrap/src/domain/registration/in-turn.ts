/** Steps with the same key run one after another; in this process only. */
export function inTurn(): <T>(key: string, step: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, step) => {
    const before = last.get(key);
    const mine = (before ?? Promise.resolve()).then(step);
    const settled = mine.catch(() => {});
    last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}
