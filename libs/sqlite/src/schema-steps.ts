/** A change of stored data, by its number (from 1) and its name, which never changes once released. */
export type SchemaStep = { readonly number: number; readonly name: string };

/**
 * What is still to be done, given the steps that this release knows and those that the data has behind it.
 * @throws what `refuse` makes of the message, where the data has a step behind it that this release does not know
 */
export function stepsAhead(
  component: string,
  known: readonly string[],
  done: readonly string[],
  refuse: (message: string) => Error,
): readonly SchemaStep[] {
  for (const [i, name] of done.entries()) {
    if (known[i] !== name) throw refuse(newerStep(component, { number: i + 1, name }));
  }
  return known.map((name, i) => ({ number: i + 1, name })).slice(done.length);
}

/** What to say, and what to do, about data of a later release. */
export function newerStep(component: string, { number, name }: SchemaStep): string {
  return `store: ${component} was written by a newer Signet (its schema step ${number}, "${name}", is not known here): start that release or a later one, or restore a backup of before`;
}
