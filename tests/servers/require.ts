import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import { NOT_RUN_FILE, type Requirement, requirements } from './requirements.ts';

export type { Requirement } from './requirements.ts';

/**
 * The URL (`nats`, `mongo`, `redis`) or the executable's path (all others) of what a suite needs, or `''` where it is
 * not there. Call it once at the top of a test file:
 *
 *     const nats = requireServer('nats');
 *     describe.skipIf(nats === '')('the bus over NATS', () => { … connect(nats) … });
 *
 * A suite that lacks something is named as not run at the end of `npm test`.
 * @throws Error naming the server, where SIGNET_REQUIRE_SERVERS=1
 */
export function requireServer(name: Requirement): string {
  const variable = requirements[name];
  const value = process.env[variable] ?? '';
  if (value !== '') return value;
  const line = `${callingTest()}: not run, for want of ${name} (${variable})`;
  if (process.env.SIGNET_REQUIRE_SERVERS === '1') {
    throw new Error(`${line}; SIGNET_REQUIRE_SERVERS=1 demands it. Run tests with "npm test"`);
  }
  const file = process.env[NOT_RUN_FILE];
  if (file === undefined) process.stderr.write(`${line}\n`);
  else appendFileSync(file, `${line}\n`);
  return '';
}

function callingTest(): string {
  const frame = new Error().stack?.split('\n').find((line) => /\.test\.ts/.test(line));
  return basename(/([^/\s(]+\.test\.ts)/.exec(frame ?? '')?.[1] ?? 'a suite');
}
