import { stepsAhead as compareSteps, type SchemaStep } from '@signet/sqlite';
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
): readonly SchemaStep[] {
  return compareSteps(component, known, done, (message) => new StoreError('newer-schema', message));
}
