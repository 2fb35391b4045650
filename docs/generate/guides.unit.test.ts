import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const folder = join(import.meta.dirname, '..', 'guides');

it('the index of the guides names each of them once, and no other', async () => {
  const index = await readFile(join(folder, 'README.md'), 'utf8');
  const named = [...index.matchAll(/\]\(([a-z-]+\.md)\)/g)].map(([, file]) => file);
  const there = (await readdir(folder)).filter((file) => file !== 'README.md');
  expect(named.toSorted()).toEqual(there.toSorted());
});
