import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Guide, readGuide } from './read.ts';

const root = resolve(import.meta.dirname, '../..');

/** Every page that readers follow, by its path in the repository. */
export function guides(): (Guide & { readonly file: string })[] {
  const pages = readdirSync(join(root, 'docs/guides'))
    .filter((name) => name.endsWith('.md') && name !== 'not-run.md')
    .map((name) => `docs/guides/${name}`);
  return ['README.md', ...pages.toSorted()].map((file) => ({
    file,
    ...readGuide(readFileSync(join(root, file), 'utf8')),
  }));
}
