import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { startDevEnv } from '@signet/dev-env';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { packAgent } from '../pack/pack-agent.ts';
import { TestFactory } from './devices.ts';

const exec = promisify(execFile);
/** SIGNET_TEST_AGENT_NODE: the folder of the `node` that is to run the package; by default the one that runs the tests. */
const node = process.env.SIGNET_TEST_AGENT_NODE ?? dirname(process.execPath);
const env = { ...process.env, PATH: `${node}${delimiter}${process.env.PATH}` };
const analyze = requireServer('systemd-analyze');
let path: string;
let agent: string;

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'signet-package-'));
  const tarball = await packAgent(path);
  const prefix = join(path, 'prefix');
  // the optional package needs a compiler and a registry: without it all but tokens works
  const offline = ['--offline', '--omit=optional', '--no-audit', '--no-fund', '--no-update-notifier'];
  await exec('npm', ['install', '--global', '--prefix', prefix, ...offline, tarball]);
  agent = join(prefix, 'bin', 'signet-agent');
}, 120_000);
afterAll(() => rm(path, { recursive: true, force: true }));

describe('the package of the agent', () => {
  it('installs without a network, and says its version', async () => {
    const { version } = JSON.parse(await readFile(resolve(import.meta.dirname, '../package.json'), 'utf8'));
    expect((await exec(agent, ['--version'], { env })).stdout).toBe(`${version}\n`);
    const failure = await exec(agent, ['--folder', path, 'status'], { env }).catch((error) => error);
    expect(failure.stderr).toMatch(/^signet-agent: not-a-device-folder: .*bootstrap\.key: missing/);
  });

  it('has the licenses of what is bundled, the unit, and a guide', async () => {
    const file = (name: string) => readFile(join(path, 'package', name), 'utf8');
    for (const name of ['commander', 'mqtt', 'zod', 'smol-toml'])
      expect(await file('THIRD-PARTY-LICENSES.txt')).toMatch(new RegExp(`^${name} \\d.* \\(`, 'm'));
    expect(await file('signet-agent.service')).toContain('[Service]');
    expect(await file('README.md')).toContain('signet-agent');
    expect(await file('signet-agent.js')).not.toContain(resolve(import.meta.dirname, '../../..'));
  });

  it('onboards, connects and leaves, as the agent of the sources does', async () => {
    await using platform = await startDevEnv();
    await using factory = await TestFactory.open(platform);
    const made = await factory.claimed('packaged');
    const child = spawn(agent, ['--folder', made.folder.path, 'run'], { env });
    let said = '';
    child.stderr.on('data', (chunk) => (said += String(chunk)));
    await vi.waitFor(() => expect(said).toMatch(/ connected$/m), 30_000);
    await vi.waitFor(() => expect(said).toMatch(/ identity-shared /), 30_000);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    const { stdout } = await exec(agent, ['--folder', made.folder.path, 'status', '--json'], { env });
    expect(JSON.parse(stdout)).toMatchObject({ deviceId: 'packaged' });
  });
});

describe.skipIf(analyze === '')('the unit of the agent', () => {
  it('is one that systemd takes, and that leaves the agent few rights', async () => {
    const unit = await readFile(join(path, 'package', 'signet-agent.service'), 'utf8');
    const file = join(path, 'signet-agent.service');
    await writeFile(file, unit.replace('/usr/local/bin/signet-agent', agent));
    const { stderr } = await exec(analyze, ['verify', '--man=no', file]).catch((error) => error);
    expect(stderr.split('\n').filter((line: string) => line.includes('signet-agent.service'))).toEqual([]);
  });
});
