import { StoreError } from '../store-error.ts';

/** The steps that data has behind it, as an engine records them. All of it may throw StoreError `unavailable`. */
export interface SchemaRecords {
  /** Names of the steps of a component, in their order. */
  done(component: string): Promise<readonly string[]>;
  /** Records that a step is done; a step that another process recorded first is left as it is. */
  record(component: string, number: number, name: string): Promise<void>;
}

/**
 * What is still to be done, given what this release knows and what the data has behind it.
 * @throws StoreError `newer-schema` where the data has a step behind it that this release does not know
 */
export function stepsAhead(
  component: string,
  known: readonly string[],
  done: readonly string[],
): readonly { readonly number: number; readonly name: string }[] {
  for (const [i, name] of done.entries()) {
    if (known[i] === name) continue;
    throw new StoreError(
      'newer-schema',
      `store: ${component} was written by a newer Signet (its schema step ${i + 1}, "${name}", is not known here): start that release or a later one, or restore a backup of before`,
    );
  }
  return known.map((name, i) => ({ number: i + 1, name })).slice(done.length);
}
