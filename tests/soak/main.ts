import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { bringSurroundings } from '../servers/bring.ts';
import { repository, spawnVitest } from '../servers/vitest.ts';
import { startLoad } from './load.ts';
import { failureLines, isGreen, planRuns, summary } from './plan.ts';
import { appendResult, type Mode, presentCommit, type Result, readResults } from './results.ts';
import { runFile } from './run-file.ts';

/**
 * `npm run test:soak -- <files…> --times 20`: runs test files again and again, under load and idle in turn, and keeps
 * each result by commit. The same command again goes on where the last one was ended. See docs/testing.md.
 */
const usage = `usage: npm run test:soak -- <files or folders…> [--times 20] [--load | --idle] [--seed n] [--minutes 15]
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: 'string', default: '20' },
    /** One mode alone. */
    load: { type: 'boolean' },
    idle: { type: 'boolean' },
    /** Runs with this seed, whether there are results or not. */
    seed: { type: 'string' },
    /** After so many a run has failed. */
    minutes: { type: 'string', default: '15' },
  },
});
const nothing = { env: {}, missing: [], [Symbol.asyncDispose]: async () => {} };
const folder = process.env.SIGNET_SOAK_DIR ?? join(repository, '.soak');
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => interrupted.abort(signal));

process.exitCode = await main().catch((error: unknown) => {
  if (interrupted.signal.aborted) return 130;
  process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});

async function main(): Promise<number> {
  const times = positive('times', values.times);
  const limitMs = positive('minutes', values.minutes) * 60_000;
  const only: Mode | undefined = values.load ? 'load' : values.idle ? 'idle' : undefined;
  if (positionals.length === 0) {
    process.stderr.write(usage);
    return 2;
  }
  const { files, needServers } = await testFiles(positionals);
  if (files.length === 0) throw new Error(`${positionals.join(' ')}: no test file`);
  // a checkout without git names it
  const commit = process.env.SIGNET_SOAK_COMMIT ?? presentCommit(repository);
  const past = () => readResults(folder).filter((result) => result.commit === commit);
  const runs = planRuns(files, times, values.seed === undefined ? past() : [], only);
  say(
    `${files.length} files, ${times} times, commit ${commit}: ${runs.length} of ${files.length * times} runs to do`,
  );
  await using surroundings = needServers && runs.length > 0 ? await bringSurroundings(() => {}) : nothing;
  for (const line of surroundings.missing) say(`missing: ${line}`);
  const results: Result[] = [];
  for (const run of runs) {
    const seed = values.seed === undefined ? randomInt(1, 2 ** 31) : positive('seed', values.seed);
    const log = join(folder, commit, `${run.file.replaceAll('/', '-')}.${run.round}.${run.mode}.${seed}.log`);
    await using _load = run.mode === 'load' ? startLoad() : nothing;
    const { env } = surroundings;
    const outcome = await runFile({ ...run, seed, env, limitMs, log, signal: interrupted.signal });
    const result = { commit, ...run, seed, at: new Date().toISOString(), ...outcome };
    appendResult(folder, result);
    results.push(result);
    const verdict = isGreen(result) ? 'green' : 'FAILED';
    say(`${verdict.padEnd(6)} ${run.mode} ${run.round}/${times} ${run.file} ${result.seconds} s`);
    if (!isGreen(result)) say(failureLines(result));
  }
  const all = values.seed === undefined ? past() : results;
  say(`\n${summary(files, all)}`);
  return all.filter(({ file }) => files.includes(file)).every(isGreen) ? 0 : 1;
}

/** The test files that vitest finds for these arguments. */
async function testFiles(filters: readonly string[]): Promise<{ files: string[]; needServers: boolean }> {
  const child = spawnVitest(['list', ...filters, '--filesOnly', '--json'], { NO_COLOR: '1' }, 'pipe');
  if (child.stdout === null || child.stderr === null) throw new Error('vitest list: no output');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  if (child.exitCode !== 0) throw new Error(`vitest list: ${err.trim()}`);
  const found = JSON.parse(out.slice(out.indexOf('['))) as { file: string; projectName: string }[];
  return {
    files: [...new Set(found.map(({ file }) => relative(repository, file)))].sort(),
    needServers: found.some(({ projectName }) => projectName !== 'unit'),
  };
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`--${name}: a whole number from 1 is expected`);
  return number;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
