import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NOT_RUN_FILE } from '../servers/requirements.ts';
import { repository, spawnVitest } from '../servers/vitest.ts';
import type { Run } from './plan.ts';
import type { Result } from './results.ts';

type Outcome = Pick<Result, 'seconds' | 'passed' | 'skipped' | 'failures' | 'log'>;

export type FileRun = Run & {
  readonly seed: number;
  /** The servers and executables that were brought. */
  readonly env: Readonly<Record<string, string>>;
  /** After so long the run is ended, and has failed. */
  readonly limitMs: number;
  /** Where the output of a run that failed is kept. */
  readonly log: string;
  readonly signal: AbortSignal;
};

/** Runs one test file once. @throws the signal's reason where it was interrupted */
export async function runFile({ file, seed, env, limitMs, log, signal }: FileRun): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'signet-soak-'));
  const report = join(directory, 'report.json');
  const notRun = join(directory, 'not-run');
  writeFileSync(notRun, '');
  const startedAt = performance.now();
  const child = spawnVitest(
    ['run', `${file}`, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    { ...env, SIGNET_TEST_SEED: String(seed), [NOT_RUN_FILE]: notRun, NO_COLOR: '1' },
    'pipe',
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  // asked first: vitest then ends what its tests started
  let isLate = false;
  const ask = () => child.kill('SIGTERM');
  signal.addEventListener('abort', ask);
  const late = setTimeout(() => {
    isLate = true;
    ask();
  }, limitMs);
  const kill = setTimeout(() => child.kill('SIGKILL'), limitMs + 30_000);
  try {
    const [code] = await once(child, 'close');
    signal.throwIfAborted();
    const outcome = readReport(report);
    const failures = [...outcome.failures];
    if (isLate) failures.push({ title: file, message: `not at its end after ${limitMs / 60_000} minutes` });
    else if (code !== 0 && failures.length === 0)
      failures.push({ title: file, message: `vitest exited with ${code}` });
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    if (failures.length === 0 && outcome.passed > 0) return { ...outcome, seconds, failures };
    mkdirSync(join(log, '..'), { recursive: true });
    writeFileSync(log, `${output}\n${readFileSync(notRun, 'utf8')}`);
    return { ...outcome, seconds, failures, log };
  } finally {
    signal.removeEventListener('abort', ask);
    clearTimeout(late);
    clearTimeout(kill);
    rmSync(directory, { recursive: true, force: true });
  }
}

type Report = {
  readonly numPassedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
};

/** What vitest's JSON report says; a file that fails outside a test has failed under its own name. */
function readReport(path: string): Omit<Outcome, 'seconds' | 'log'> {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return { passed: 0, skipped: 0, failures: [] };
  }
  const failures = report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const tests = assertionResults
      .filter((test) => test.status === 'failed')
      .map(({ fullName, failureMessages = [] }) => ({
        title: fullName,
        message: failureMessages.join('\n'),
      }));
    return tests.length === 0 && status === 'failed'
      ? [{ title: name.replace(`${repository}/`, ''), message }]
      : tests;
  });
  return { passed: report.numPassedTests, skipped: report.numPendingTests, failures };
}
