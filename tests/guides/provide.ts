import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * What `npx` does for a program of this clone: found in the nearest node_modules, run by the Node beside it. (npm itself
 * takes a second for that, some hundred times; the commands of README.md run by the real one.)
 */
const npx = `#!/bin/bash
folder=$PWD
until [ -x "$folder/node_modules/.bin/$1" ]; do
  [ "$folder" != / ] || { echo "npx: no $1 above $PWD" >&2; exit 127; }
  folder=$(dirname "$folder")
done
PATH=$folder/node_modules/.bin:$PATH exec "$folder/node_modules/.bin/$1" "\${@:2}"
`;

/** Gives a reader's environment: a home of their own, and nothing of whoever runs the tests. */
export function provide(): Record<string, string> {
  const home = '/tmp/home';
  const bin = '/tmp/bin';
  for (const folder of [home, bin]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(bin, 'npx'), npx);
  chmodSync(join(bin, 'npx'), 0o755);
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return {
    PATH: [bin, ...path].join(delimiter),
    HOME: home,
    LANG: 'C.UTF-8',
    XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  };
}
