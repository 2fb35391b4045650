import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bringSurroundings, type Surroundings } from './bring.ts';
import { NOT_RUN_FILE } from './requirements.ts';
import { spawnVitest } from './vitest.ts';

/** `npm test`: brings what tests need, runs vitest with the given arguments, and stops what it started. */
const args = process.argv.slice(2);
/** Projects whose tests ask for no server; every other one gets all that can be brought. */
const serverless = new Set(['unit', 'service']);
const nothing: Surroundings = { env: {}, missing: [], [Symbol.asyncDispose]: async () => {} };
const say = (line: string) => process.stdout.write(`  ${line}\n`);

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(signal));
}

process.exitCode = await main();

async function main(): Promise<number> {
  const required = process.env.SIGNET_REQUIRE_SERVERS === '1';
  process.stdout.write(
    needsServers(args) ? 'Bringing what the tests need:\n' : 'These tests need no server.\n',
  );
  await using surroundings = needsServers(args) ? await bringSurroundings(say) : nothing;
  if (required && surroundings.missing.length > 0) {
    process.stderr.write(`SIGNET_REQUIRE_SERVERS=1, but this is missing:\n`);
    for (const line of surroundings.missing) process.stderr.write(`  ${line}\n`);
  }
  const directory = mkdtempSync(join(tmpdir(), 'signet-test-'));
  const notRunFile = join(directory, 'not-run');
  writeFileSync(notRunFile, '');
  try {
    const code = await vitest({ ...surroundings.env, [NOT_RUN_FILE]: notRunFile });
    reportNotRun(readFileSync(notRunFile, 'utf8'));
    return code === 0 && required && surroundings.missing.length > 0 ? 1 : code;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function needsServers(args: readonly string[]): boolean {
  const projects = args.flatMap((arg, i) => {
    if (arg === '--project') return [args[i + 1] ?? ''];
    return arg.startsWith('--project=') ? [arg.slice('--project='.length)] : [];
  });
  return projects.length === 0 || projects.some((name) => !serverless.has(name));
}

async function vitest(env: Record<string, string>): Promise<number> {
  if (interrupted.signal.aborted) return 130;
  const child = spawnVitest(['run', ...args], env);
  interrupted.signal.addEventListener('abort', () => child.kill(interrupted.signal.reason));
  const [code] = await once(child, 'exit');
  return interrupted.signal.aborted ? 130 : (code ?? 1);
}

function reportNotRun(lines: string): void {
  if (lines === '') return;
  process.stdout.write(`\nNOT RUN, because something was not there:\n${lines.replace(/^(?=.)/gm, '  ')}`);
}
