import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { configuration } from './configuration.ts';
import type { Generator } from './document.ts';
import { events } from './events.ts';
import { features } from './features.ts';
import { imports } from './imports.ts';
import { notRun } from './not-run.ts';
import { openapi } from './openapi.ts';
import { operations } from './operations.ts';
import { refusals } from './refusals.ts';

/** Every generated file: of docs/reference, but for one among the guides. A new one is a file in this folder and a name in this list. */
const generators: readonly Generator[] = [
  events,
  operations,
  refusals,
  configuration,
  openapi,
  features,
  imports,
  notRun,
];

/** `npm run docs` writes them; with `--check` it writes nothing and fails where a committed file differs. */
const check = process.argv.includes('--check');
const root = join(import.meta.dirname, '..', '..');
const reference = join(root, 'docs', 'reference');
mkdirSync(reference, { recursive: true });

for (const { file, generate } of generators) {
  const path = join(reference, file);
  const text = await generate();
  if (!check) writeFileSync(path, text);
  else if (committed(path) !== text) {
    process.stderr.write(`${relative(root, path)} is out of date: run "npm run docs" and commit it\n`);
    process.exitCode = 1;
  }
}

function committed(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
