import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findRunningPlatform } from '@signet/service';
import { expect, it, onTestFinished, vi } from 'vitest';
import { StandaloneProcess } from './child.ts';

vi.setConfig({ testTimeout: 180_000 });

const OFFSETS = [64, 80, 81, 443, 444, 445, 883, 884];
const PORTS = ['EST', 'EST_HTTP', 'MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN', 'HEALTH'];
/** As where nobody set a port. */
const unset = Object.fromEntries(PORTS.map((name) => [`SIGNET_${name}_PORT`, '']));
const cli = join(import.meta.dirname, '..', '..', 'cli', 'src');
const execute = promisify(execFile);

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'signet-ports-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

/** A base behind which all ports are free now. */
async function freeBase(): Promise<number> {
  for (;;) {
    const base = 20_000 + Math.floor(Math.random() * 40_000);
    const free = await Promise.all(OFFSETS.map((offset) => isFree(base + offset)));
    if (free.every(Boolean)) return base;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const bound = Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  server.listen(port);
  const answer = await bound;
  await new Promise((resolve) => server.close(resolve));
  return answer;
}

/** What a person does in the folder of a platform, with nothing else set. */
async function command(cwd: string, main: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: join(cwd, 'config') };
  const { stdout } = await execute(process.execPath, [join(cli, main), ...args], { cwd, env });
  return stdout;
}

it('two platforms run beside each other with --port-base, and every command finds that of its data folder', async () => {
  const homes = [await folder(), await folder()];
  await using stack = new AsyncDisposableStack();
  for (const home of homes) {
    const base = await freeBase();
    const args = ['--port-base', String(base)];
    const signet = stack.use(new StandaloneProcess(join(home, 'data'), unset, home, args));
    await signet.ready();
    expect(Number(new URL(signet.url('est')).port)).toBe(base + 443);
    expect(Number(new URL(signet.url('health')).port)).toBe(base + 64);
  }
  const accounts = await Promise.all(
    homes.map(async (home) => {
      // all that devices are told is of their own platform, or they would not come through
      const { ok } = JSON.parse(await command(home, 'demo/main.ts', '--devices', '2', '--json'));
      expect(ok).toBe(2);
      await command(home, 'main.ts', 'factory', 'sign', '--new', 'dev-1');
      const { url } = JSON.parse(await readFile(join(home, 'dev-1', 'bootstrap.json'), 'utf8'));
      expect(url).toBe(findRunningPlatform(join(home, 'data'))?.bootstrap);
      return url;
    }),
  );
  expect(new Set(accounts).size).toBe(2);
});

it('the notice of a platform goes with it, and one that a kill left behind names nobody', async () => {
  const data = join(await folder(), 'data');
  const file = join(data, 'platform.json');
  {
    await using signet = new StandaloneProcess(data);
    await signet.ready();
    expect(findRunningPlatform(data)?.api).toBe(new URL(signet.url('operators')).origin);
    await signet.stop('SIGTERM');
    expect(existsSync(file)).toBe(false);
  }
  await using killed = new StandaloneProcess(data);
  await killed.ready();
  await killed.stop('SIGKILL');
  expect(existsSync(file)).toBe(true);
  expect(findRunningPlatform(data)).toBeUndefined();
  // its process id was given to another process since
  const notice = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...notice, pid: process.pid }));
  expect(findRunningPlatform(data)).toBeUndefined();
  await writeFile(file, '{"version":1,');
  expect(findRunningPlatform(data)).toBeUndefined();
});

it('the demo works against an API over HTTPS, by --ca, and by the data folder alone', async () => {
  const home = await folder();
  const data = join(home, 'data');
  await using signet = new StandaloneProcess(data, { SIGNET_ADMIN_BIND: '0.0.0.0' }, home);
  await signet.ready();
  const { api, bootstrap, trustAnchors } = findRunningPlatform(data) ?? expect.unreachable();
  expect(new URL(api).protocol).toBe('https:');
  const token = (await readFile(join(data, 'admin-token'), 'utf8')).trim();
  await writeFile(join(home, 'roots.pem'), trustAnchors.join(''));
  const elsewhere = await folder();
  const named = ['--url', api, '--bootstrap', bootstrap, '--token', token];
  const demo = ['demo/main.ts', '--devices', '2', '--json'] as const;
  const { ok } = JSON.parse(await command(elsewhere, ...demo, ...named, '--ca', join(home, 'roots.pem')));
  expect(ok).toBe(2);
  expect(JSON.parse(await command(home, ...demo)).ok).toBe(2);
  const refused = await command(elsewhere, ...demo, ...named).catch((error: { stderr: string }) => error);
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^demo: https:.* --ca <file>[^\n]*\n$/),
  });
});

it.each([
  [['--port-bas', '9000'], /--port-base <port>/],
  [['--port-base', '80'], /--port-base: must be a port, 1024 to 64651/],
  [['--port-base', 'x'], /--port-base: must be a port/],
])('npm start -- %j says what is wrong in one line', async (args, line) => {
  await using signet = new StandaloneProcess(join(await folder(), 'data'), {}, undefined, args);
  expect(await signet.ended()).toBe(2);
  const [head, reason, ...rest] = signet.err.trimEnd().split('\n');
  expect([head, rest]).toEqual(['signet: the configuration is wrong', []]);
  expect(reason).toMatch(line);
});
