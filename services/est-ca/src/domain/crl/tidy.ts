import type { CrlFiles } from './crl-files.ts';
import { type CrlState, type CrlStates, latestState } from './crl-state.ts';

type TidyDeps = {
  readonly files: Pick<CrlFiles, 'remove' | 'sweep'>;
  readonly states: Pick<CrlStates, 'find' | 'remove'>;
  readonly now: () => number;
};

/** What was replaced is kept so long for those who are reading it. */
const READING_MS = 60_000;

/** Removes the steps of a scope that nobody reads any more, with the files that only they name. */
export async function removeReplaced({ files, states, now }: TidyDeps, scopeId: string): Promise<void> {
  const last = await latestState(states, scopeId);
  if (last === undefined) return;
  const { items } = await states.find({ prefix: `${scopeId}/`, limit: 200 });
  const before = new Date(now() - READING_MS).toISOString();
  for (const [i, state] of items.entries()) {
    const next = items[i + 1];
    if (next === undefined || next.publishedAt >= before) return;
    const kept = new Set([next, last].flatMap(tokensOf));
    for (const file of [state.complete, state.delta])
      if (!kept.has(file.token)) await files.remove(scopeId, file);
    await states.remove(state.id);
  }
}

/** Removes what a process left that died before it could publish it. */
export async function removeOrphans({ files, states }: TidyDeps, scopeId: string): Promise<void> {
  const tokens = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await states.find({
      prefix: `${scopeId}/`,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const token of page.items.flatMap(tokensOf)) tokens.add(token);
    cursor = page.next;
  } while (cursor !== undefined);
  if (tokens.size > 0) await files.sweep(scopeId, tokens);
}

const tokensOf = ({ complete, delta }: CrlState): readonly string[] => [complete.token, delta.token];
