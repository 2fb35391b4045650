import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { freePort } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const readme = await readFile(join(root, 'README.md'), 'utf8');
const servers = ['nats', 'mongo', 'redis'] as const;
const urls = servers.map((name) => requireServer(name));

/** A program of the README, running in the background. */
class Background {
  readonly #child: ChildProcess;
  readonly #exited = Promise.withResolvers<number>();
  #output = '';
  #onOutput: () => void = () => {};
  #exit: number | undefined;

  constructor(command: string, options: { cwd: string; env: NodeJS.ProcessEnv }) {
    this.#child = spawn('bash', ['-c', `exec ${command}`], { ...options, detached: true });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
        this.#onOutput();
      });
    }
    this.#child.on('exit', (code, signal) => {
      this.#exit = code ?? (signal === null ? 1 : 128);
      this.#onOutput();
      this.#exited.resolve(this.#exit);
    });
  }

  get output(): string {
    return this.#output;
  }

  /** Waits for a text; a program that ends without it fails at once. */
  async says(text: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const check = () => {
      if (this.#output.includes(text)) resolve();
      else if (this.#exit !== undefined)
        reject(new Error(`ended without saying "${text}":\n${this.#output}`));
    };
    this.#onOutput = check;
    check();
    await promise;
  }

  ends(): Promise<number> {
    return this.#exited.promise;
  }

  async stop(): Promise<void> {
    if (this.#exit === undefined && this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGINT');
    await this.ends();
  }
}

/** Every command line of the README's shell blocks, in order. */
function commands(): string[] {
  return [...readme.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) => block.trim().split('\n'));
}

describe('README: every line of it', () => {
  let work: string;
  let env: NodeJS.ProcessEnv;
  const running: Background[] = [];

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'signet-readme-'));
    await symlink(join(root, 'node_modules'), join(work, 'node_modules'));
    await writeFile(join(work, 'package.json'), '{"private":true}');
    const [est, http, bootstrap, gateway, mqtt, provisioning, admin, health] = await Promise.all(
      Array.from({ length: 8 }, () => freePort()),
    );
    env = {
      ...process.env,
      XDG_CONFIG_HOME: join(work, 'config'),
      SIGNET_DATA_DIR: join(work, 'data'),
      SIGNET_STORE: `sqlite:${join(work, 'data', 'signet.db')}`,
      SIGNET_EST_PORT: String(est),
      SIGNET_EST_HTTP_PORT: String(http),
      SIGNET_BOOTSTRAP_PORT: String(bootstrap),
      SIGNET_GATEWAY_PORT: String(gateway),
      SIGNET_MQTT_PORT: String(mqtt),
      SIGNET_MQTT_PROVISIONING_PORT: String(provisioning),
      SIGNET_ADMIN_PORT: String(admin),
      SIGNET_HEALTH_PORT: String(health),
      SIGNET_EST_URL: `https://localhost:${est}`,
      SIGNET_MQTT_URL: `mqtts://localhost:${mqtt}`,
      SIGNET_GATEWAY_URL: `https://localhost:${gateway}`,
      SIGNET_BOOTSTRAP_URL: `https://localhost:${bootstrap}`,
      SIGNET_URL: `http://127.0.0.1:${admin}`,
    };
  });

  afterAll(async () => {
    await Promise.all(running.map((program) => program.stop()));
    await rm(work, { recursive: true, force: true });
  });

  const start = (command: string, cwd = work): Background => {
    const program = new Background(command, { cwd, env });
    running.push(program);
    return program;
  };

  const run = async (command: string, cwd = work): Promise<string> => {
    const program = start(command, cwd);
    const code = await program.ends();
    expect(code, `${command}\n${program.output}`).toBe(0);
    return program.output;
  };

  let fingerprint = '';
  let agent: Background | undefined;

  const lines: Record<string, () => Promise<void>> = {
    'npm ci && npm start': async () => {
      expect(await readFile(join(root, '.ci/run'), 'utf8')).toContain('npm ci');
      const platform = start('npm start', root);
      await platform.says('Signet is ready.');
      // no terminal: the token lies in its file, and nowhere in what a log would keep
      expect(platform.output).not.toContain('sgn_');
      expect(await readFile(join(work, 'data', 'admin-token'), 'utf8')).toMatch(/^sgn_/);
    },
    'npm run demo': async () => {
      const output = await run('npm run demo', root);
      const [, table = ''] = /^```\n( step .*?)^```/ms.exec(readme) ?? [];
      expect(columns(output)).toEqual(columns(table));
      expect(output).toContain('20 of 20 devices passed');
    },
    'npx signet factory sign --new dev-1': async () => {
      const output = await run('npx signet factory sign --new dev-1');
      fingerprint = /fingerprint +([0-9a-f]{64})/.exec(output)?.[1] ?? '';
      expect(fingerprint).not.toBe('');
    },
    'npx signet devices claim <fingerprint>': async () => {
      expect(await run(`npx signet devices claim ${fingerprint}`)).toContain('default/dev-1 is claimed');
    },
    'npx signet-agent --folder dev-1 onboard': async () => {
      expect(await run('npx signet-agent --folder dev-1 onboard')).toContain('BEGIN CERTIFICATE');
    },
    'npx signet-agent --folder dev-1 run': async () => {
      agent = start('npx signet-agent --folder dev-1 run');
      await agent.says('connected');
    },
    'npx signet events tail --from start --types DEVICE_CONNECTED --count 1': async () => {
      const output = await run('npx signet events tail --from start --types DEVICE_CONNECTED --count 1');
      expect(output).toMatch(/ DEVICE_CONNECTED default\//);
    },
    'npx signet devices revoke dev-1': async () => {
      expect(await run('npx signet devices revoke dev-1')).toMatch(/dev-1: session cut after \d+ ms/);
      expect(await agent?.ends()).toBe(1);
    },
    'npx signet devices show dev-1': async () => {
      expect(await run('npx signet devices show dev-1')).toMatch(/retired[\s\S]*denied/);
    },
    'npm run start:services': async () => {
      const [nats, mongo, redis] = urls;
      const options = `--ports free --nats ${nats} --mongo ${mongo} --redis ${redis} --data ${join(work, 'services')}`;
      const topology = start(`npm run start:services -- ${options}`, root);
      await topology.says('All six services are ready.');
      await topology.says('A downstream system subscribes with an ordinary NATS client');
      await topology.stop();
    },
    'docker compose up --build': async () => {
      // Containers are not built here, and the README says so; deploy/topology tests hold the file against the services.
      expect(readme).toContain('the containers themselves are not built in the tests');
    },
  };

  it('is known to this test, and nothing more', () => {
    expect(commands()).toEqual(Object.keys(lines));
  });

  for (const [command, check] of Object.entries(lines)) {
    const needsServers = command === 'npm run start:services' && urls.includes('');
    it.skipIf(needsServers)(`works: ${command}`, { timeout: 120_000 }, check);
  }

  it('links only to files that are there', async () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => path);
    expect(links.length).toBeGreaterThan(5);
    for (const path of links)
      await expect(readFile(join(root, path)).catch(isFolder), path).resolves.toBeDefined();
  });
});

/** The steps in the first column of the demo's table. */
function columns(output: string): string[] {
  return [...output.matchAll(/^ (\S.*?) +│ +\d+ +│/gm)].map(([, step = '']) => step);
}

function isFolder(error: NodeJS.ErrnoException): true {
  if (error.code !== 'EISDIR') throw error;
  return true;
}
