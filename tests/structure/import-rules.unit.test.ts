import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planted, sound } from './planted.ts';

const repository = join(import.meta.dirname, '..', '..');
const require = createRequire(import.meta.url);
const config = require('../../.dependency-cruiser.cjs') as {
  forbidden: { name: string; comment: string }[];
};
const { ladders } = require('../../.dependency-ladders.cjs') as { ladders: Record<string, string[]> };
const packages = ['fastify', 'mongodb', 'zod'];

type Cruise = {
  summary: { violations: { from: string; rule: { name: string }; cycle?: { name: string }[] }[] };
};
let tree: string;
let caught: Map<string, Set<string>>;

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'signet-structure-'));
  for (const [file, imports] of Object.entries(sound)) await write(file, imports);
  for (const { file, imports } of Object.values(planted)) await write(file, imports);
  await layWorkspace();
  caught = await cruise();
});
afterAll(() => rm(tree, { recursive: true, force: true }));

test('every import rule says its sentence and has a planted violation', () => {
  const names = new Set(config.forbidden.map((rule) => rule.name));
  expect([...names].sort()).toEqual(Object.keys(planted).sort());
  for (const rule of config.forbidden) expect(rule.comment, rule.name).toMatch(/^[A-Za-z].+\.$/);
});

test.each(Object.entries(ladders))(
  'every noun in the domain of %s is on its ladder, and in its README',
  (service, nouns) => {
    const folder = join(repository, 'services', service);
    expect(readdirSync(join(folder, 'src', 'domain')).sort()).toEqual([...nouns].sort());
    const readme = readFileSync(join(folder, 'README.md'), 'utf8');
    expect(readme).toContain(nouns.map((noun) => `\`${noun}\``).join(' ← '));
  },
);

describe('a planted violation is caught by its rule and by no other', () => {
  test.each(Object.entries(planted))('%s', (rule, { file }) => {
    expect([...(caught.get(file) ?? [])]).toEqual([rule]);
  });
});

test('a tree that keeps the rules is let through', () => {
  const circle = 'libs/store/src/circle-back.ts';
  const blamed = Object.keys(sound).filter((file) => file !== circle && caught.has(file));
  expect(blamed).toEqual([]);
});

async function write(file: string, imports: readonly string[]): Promise<void> {
  const path = join(tree, file);
  await mkdir(dirname(path), { recursive: true });
  const lines = imports.map((name, i) => `import * as i${i} from '${name}';\nexport const e${i} = i${i};\n`);
  await writeFile(path, `${lines.join('')}export {};\n`);
}

/** The repository's own manifests, linked as npm links workspaces, and packages in name only. */
async function layWorkspace(): Promise<void> {
  const modules = join(tree, 'node_modules');
  await mkdir(join(modules, '@signet'), { recursive: true });
  const workspaces = new Set(Object.keys(sound).map((file) => file.split('/').slice(0, 2).join('/')));
  for (const workspace of workspaces) {
    await cp(join(repository, workspace, 'package.json'), join(tree, workspace, 'package.json'));
    const { name } = JSON.parse(await readFile(join(tree, workspace, 'package.json'), 'utf8')) as {
      name: string;
    };
    await symlink(join(tree, workspace), join(modules, name));
  }
  for (const name of packages) {
    await mkdir(join(modules, name));
    await writeFile(join(modules, name, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
    await writeFile(join(modules, name, 'index.js'), '');
  }
  for (const file of [
    '.dependency-cruiser.cjs',
    '.dependency-ladders.cjs',
    'tsconfig.json',
    'package.json',
  ]) {
    await cp(join(repository, file), join(tree, file));
  }
}

async function cruise(): Promise<Map<string, Set<string>>> {
  const bin = join(repository, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruiser.mjs');
  const args = [
    bin,
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    'libs',
    'services',
    'apps',
  ];
  const options = { cwd: tree, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options).catch(
    (error: { stdout: string }) => error,
  );
  const found = new Map<string, Set<string>>();
  for (const { from, rule, cycle = [] } of (JSON.parse(stdout) as Cruise).summary.violations) {
    for (const file of [from, ...cycle.map((step) => step.name)]) {
      found.set(file, (found.get(file) ?? new Set()).add(rule.name));
    }
  }
  return found;
}
