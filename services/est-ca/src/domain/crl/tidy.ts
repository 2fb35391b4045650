import type { CrlFiles } from './crl-files.ts';
import type { CrlStates } from './crl-state.ts';

type TidyDeps = {
  readonly files: Pick<CrlFiles, 'remove' | 'sweep'>;
  readonly states: Pick<CrlStates, 'get' | 'update'>;
  readonly now: () => number;
};

/** Files that were replaced are kept so long for those who are reading them. */
const READING_MS = 60_000;

/** Removes the files of a scope that nobody reads any more. */
export async function removeReplaced(deps: TidyDeps, scopeId: string): Promise<void> {
  const before = new Date(deps.now() - READING_MS).toISOString();
  const old = (await deps.states.get(scopeId))?.replaced.filter(({ at }) => at < before) ?? [];
  if (old.length === 0) return;
  for (const file of old) await deps.files.remove(scopeId, file);
  const tokens = new Set(old.map(({ token }) => token));
  await deps.states.update(scopeId, (current) => ({
    document: { ...current, replaced: current.replaced.filter(({ token }) => !tokens.has(token)) },
  }));
}

/** Removes what a process left that died before it could publish it. */
export async function removeOrphans(deps: TidyDeps, scopeId: string): Promise<void> {
  const state = await deps.states.get(scopeId);
  if (state === undefined) return;
  const files = [state.complete, state.delta, ...state.replaced];
  await deps.files.sweep(scopeId, new Set(files.map(({ token }) => token)));
}
