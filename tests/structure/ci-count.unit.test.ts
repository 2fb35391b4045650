import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { repository } from './source-files.ts';

const directory = mkdtempSync(join(tmpdir(), 'signet-count-'));
afterAll(() => rmSync(directory, { recursive: true }));

const passing = { status: 'passed', assertionResults: [{ status: 'passed' }] };
const failing = { status: 'failed', assertionResults: [{ status: 'failed' }] };
const broken = { status: 'failed', assertionResults: [] };

describe('the closing line of .ci/run', () => {
  test.each([
    ['all green', { passed: 3, failed: 0, files: [passing] }, 0, 0, '3 passed, 0 failed', 0],
    ['a failed test', { passed: 2, failed: 1, files: [failing] }, 1, 0, '2 passed, 1 failed', 1],
    [
      'a file that fails before its tests',
      { passed: 2, failed: 0, files: [broken] },
      1,
      0,
      '2 passed, 1 failed',
      1,
    ],
    [
      'a run that fails with all tests green',
      { passed: 2, failed: 0, files: [] },
      1,
      0,
      '2 passed, 1 failed',
      1,
    ],
    ['a failed check', { passed: 2, failed: 0, files: [passing] }, 0, 1, '2 passed, 1 failed', 1],
    ['no test at all', { passed: 0, failed: 0, files: [] }, 0, 0, '0 passed, 1 failed', 1],
    ['no report', undefined, 1, 0, '0 passed, 1 failed', 1],
  ])('counts %s', (name, run, testsFailed, checksFailed, line, status) => {
    const file = join(directory, name);
    if (run !== undefined) {
      const { passed: numPassedTests, failed: numFailedTests, files: testResults } = run;
      writeFileSync(file, JSON.stringify({ numPassedTests, numFailedTests, testResults }));
    }
    const args = [join(repository, '.ci', 'count.mjs'), file, String(testsFailed), String(checksFailed)];
    const result = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(result.stdout).toBe(`${line}\n`);
    expect(result.status).toBe(status);
  });
});
