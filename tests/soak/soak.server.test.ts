import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { repository } from '../servers/vitest.ts';
import { presentCommit, readResults } from './results.ts';

const FILE = 'tests/soak/seeded.unit.test.ts';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-soak-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function soak(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    env: { ...process.env, SIGNET_SOAK_DIR: folder, SIGNET_SOAK_COMMIT: 'c0ffee', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [out] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { out, code: child.exitCode };
}

test('a soak runs load and idle in turn, and the same command again goes on where it was ended', async () => {
  const first = await soak([FILE, '--times', '1']);
  expect(first).toMatchObject({ code: 0, out: expect.stringContaining('1 of 1 runs to do') });
  // what a kill leaves of a line
  appendFileSync(join(folder, 'results.jsonl'), '\n{"commit":"abc","file":"tes');
  const second = await soak([FILE, '--times', '2']);
  expect(second.out).toContain('1 of 2 runs to do');
  expect(second.out).toContain(`${FILE}  load 1/1  idle 1/1`);
  expect(readResults(folder).map(({ round, mode, passed }) => [round, mode, passed])).toEqual([
    [1, 'load', 2],
    [2, 'idle', 2],
  ]);
  const third = await soak([FILE, '--times', '2']);
  expect(third.out).toContain('0 of 2 runs to do');
  expect(third.code).toBe(0);
});

test('a soak prints what failed with its seed, keeps the output, and fails from then on', async () => {
  const red = await soak([FILE, '--times', '1', '--idle'], { SIGNET_SOAK_PLANT: 'yes' });
  expect(red.code).toBe(1);
  const [result] = readResults(folder);
  expect(red.out).toContain(`round 1, idle, seed ${result?.seed}: 1 failed`);
  expect(red.out).toContain('fails where a soak plants a failure');
  expect(red.out).toContain(`again: npm run test:soak -- ${FILE} --times 1 --idle --seed ${result?.seed}`);
  expect(readFileSync(result?.log ?? '', 'utf8')).toContain('AssertionError');
  expect((await soak([FILE, '--times', '2', '--idle'])).code).toBe(1);
  const again = await soak([FILE, '--times', '1', '--idle', '--seed', String(result?.seed)]);
  expect(again.code).toBe(0);
  expect(readResults(folder).at(-1)?.seed).toBe(result?.seed);
});

test('a soak of a file that is not there says so', async () => {
  expect(await soak(['tests/no-such-file'])).toMatchObject({ code: 2 });
});

test('the commit of a result is the one that is checked out', () => {
  expect(presentCommit(repository)).toMatch(/^[0-9a-f]{12}(\+[0-9a-f]{8})?$/);
});
