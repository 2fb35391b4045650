import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { StandaloneProcess } from './child.ts';

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'signet-alone-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return join(root, 'data');
}

it('a second start on the same data says in one line that Signet runs there; after kill -9 of the first it starts', async () => {
  const dataDir = await folder();
  await using first = new StandaloneProcess(dataDir);
  await first.ready();
  await using second = new StandaloneProcess(dataDir);
  expect(await second.ended()).toBe(1);
  expect(second.err).toBe(`signet: SIGNET_DATA_DIR: ${dataDir} is in use: Signet runs there already\n`);
  expect(second.out).toBe('');
  // another folder, the same store
  await using third = new StandaloneProcess(`${dataDir}-2`, {
    SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`,
  });
  expect(await third.ended()).toBe(1);
  expect(third.err).toBe(
    `signet: SIGNET_STORE: ${join(dataDir, 'signet.db')} is in use: Signet runs there already\n`,
  );
  await first.stop('SIGKILL');
  await using fourth = new StandaloneProcess(dataDir);
  await fourth.ready();
}, 120_000);

it('a port that is taken is named with its variable, in one line', async () => {
  const other = createServer().listen(0, '0.0.0.0');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  for (const variable of [
    'SIGNET_MQTT_PORT',
    'SIGNET_GATEWAY_PORT',
    'SIGNET_ADMIN_PORT',
    'SIGNET_HEALTH_PORT',
  ]) {
    await using signet = new StandaloneProcess(await folder(), { [variable]: String(port) });
    expect(await signet.ended()).toBe(1);
    expect(signet.err).toMatch(
      new RegExp(`^signet: ${variable}: port ${port}( of \\S+)? is taken by another process\\n$`),
    );
  }
}, 120_000);

it('SIGNET_DATA_DIR alone moves everything: two folders are two platforms, though one folder starts both', async () => {
  const cwd = await folder();
  await mkdir(cwd);
  const unset = { SIGNET_STORE: '' };
  await using first = new StandaloneProcess('./data', unset, cwd);
  await first.ready();
  await using second = new StandaloneProcess(join(cwd, 'other'), unset, cwd);
  await second.ready();
  const made = await Promise.all(['data', 'other'].map((name) => readdir(join(cwd, name))));
  for (const files of made) expect(files).toEqual(expect.arrayContaining(['admin-token', 'signet.db']));
}, 120_000);

it('keys that 0.1.0 kept apart from ./data/signet.db are started with it again', async () => {
  const cwd = await folder();
  await mkdir(cwd);
  const apart = { SIGNET_STORE: `sqlite:./data/signet.db` };
  await mkdir(join(cwd, 'data'));
  await using before = new StandaloneProcess(join(cwd, 'keys'), apart, cwd);
  await before.ready();
  await before.stop('SIGTERM');
  await using after = new StandaloneProcess(join(cwd, 'keys'), { SIGNET_STORE: '' }, cwd);
  expect(await after.ready()).not.toMatch(/shown this once/);
  expect(await readdir(join(cwd, 'keys'))).not.toContain('signet.db');
}, 120_000);

it('a data folder that is a file is named in one line', async () => {
  const file = await folder();
  await writeFile(file, '');
  await using signet = new StandaloneProcess(file);
  expect(await signet.ended()).toBe(1);
  expect(signet.err).toBe(`signet: SIGNET_DATA_DIR: ${file} is not a folder\n`);
});

it('npm start ends with all its processes when it is told to', async () => {
  const dataDir = await folder();
  const ports = ['EST', 'EST_HTTP', 'MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN', 'HEALTH'];
  const npm = spawn('npm', ['start'], {
    cwd: join(import.meta.dirname, '..', '..', '..'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...Object.fromEntries(ports.map((name) => [`SIGNET_${name}_PORT`, '0'])),
      SIGNET_DATA_DIR: dataDir,
      SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`,
    },
  });
  onTestFinished(() => void npm.kill('SIGKILL'));
  let out = '';
  npm.stdout.on('data', (chunk) => (out += String(chunk)));
  npm.stderr.on('data', (chunk) => (out += String(chunk)));
  const exited = once(npm, 'exit');
  await vi.waitFor(() => expect(out).toMatch(/Signet is ready/), { timeout: 60_000 });
  const [, health = ''] = /(http:\/\/127\.0\.0\.1:\d+)\/ready/.exec(out) ?? [];
  expect((await fetch(`${health}/health`)).status).toBe(200);
  npm.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await expect(fetch(`${health}/health`)).rejects.toThrow();
  // the kernel would refuse the lock if anything still ran
  await using again = new StandaloneProcess(dataDir);
  await again.ready();
}, 120_000);
