import { AsyncLocalStorage } from 'node:async_hooks';

type Owed = { owed: boolean };
const context = new AsyncLocalStorage<Owed>();

/**
 * Runs `work`, and tells whether what it did is in force: `owed` where it revoked something of which no listener can have
 * heard yet ({@link noteOwed}), here or in a service that it asked.
 */
export async function trackOwed<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly owed: boolean }> {
  const here: Owed = { owed: false };
  const result = await context.run(here, work);
  return { result, owed: here.owed };
}

/** What runs now did something that is accepted, and not in force yet. */
export function noteOwed(): void {
  const here = context.getStore();
  if (here !== undefined) here.owed = true;
}
