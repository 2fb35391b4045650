import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const main = join(import.meta.dirname, '..', 'src', 'main.ts');

/** A broker node as a process of its own: the service's real main. */
export type BrokerProcess = AsyncDisposable & {
  readonly port: number;
  readonly healthPort: number;
  /** kill -9. */
  kill(): Promise<void>;
};

/** Starts a node and waits until it says that it is ready. Its instance name is that of the folder in `env`. */
export async function startBrokerProcess(env: Readonly<Record<string, string>>): Promise<BrokerProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'signet-node-'));
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      SIGNET_STORE: `sqlite:${join(directory, 'signet.db')}`,
      SIGNET_DATA_DIR: directory,
      SIGNET_BIND: '127.0.0.1',
      SIGNET_MQTT_PORT: '0',
      SIGNET_MQTT_PROVISIONING_PORT: '0',
      SIGNET_HEALTH_BIND: '127.0.0.1',
      SIGNET_HEALTH_PORT: '0',
      ...env,
    },
  });
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  try {
    const { ports, healthPort } = await ready(child);
    return {
      port: ports.mqtt,
      healthPort,
      kill: () => end('SIGKILL'),
      async [Symbol.asyncDispose]() {
        await end('SIGKILL');
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await end('SIGKILL');
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

type Ready = { readonly ports: { readonly mqtt: number }; readonly healthPort: number };

/** Reads its log until it is ready; goes on reading, so that the node never waits for us. */
function ready(child: ChildProcess): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<Ready>();
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      last.push(line);
      if (last.length > 20) last.shift();
      if (line.includes('"mqtt-broker is ready"')) resolve(JSON.parse(line) as Ready);
    });
  }
  child.once('exit', (code) => reject(new Error(`the node ended with ${code}:\n${last.join('\n')}`)));
  return promise;
}
