import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperatorClient, trustAnchors } from '@signet/dev-env';
import { bringTool } from '@signet/tests/servers/bring-tool';
import { startFerretdb, startNats, startRedis, startServer } from '@signet/tests/servers/start';
import { startTopology } from '../../deploy/run-topology.ts';

export type Backbone = 'embedded' | 'nats';

/** A platform that runs in processes of its own. */
export type RunningPlatform = AsyncDisposable & {
  readonly operator: OperatorClient;
  readonly ports: { readonly bootstrap: number; readonly est: number; readonly mqtt: number };
  /** The roots, PEM. */
  readonly anchors: string;
  /** Every process that does work for it, servers included. */
  readonly pids: readonly number[];
  /** Certificate and key of the EST listener, PEM. */
  readonly identity: { readonly cert: string; readonly key: string };
};

/** Preparation takes longer than a grant usually lives; the rest is as a user has it. */
const environment = { SIGNET_EST_GRANT_MINUTES: '240' };

export async function startPlatform(backbone: Backbone): Promise<RunningPlatform> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const started =
    backbone === 'embedded' ? await asOneProcess(folder, stack) : await onServers(folder, stack);
  const { adminPort, tokenFile, identityFile, ...rest } = started;
  const token = readFileSync(tokenFile, 'utf8').trim();
  const operator = new OperatorClient({ url: `http://127.0.0.1:${adminPort}`, token });
  const anchors = await trustAnchors(operator);
  const all = stack.move();
  return {
    ...rest,
    ...{ operator, anchors, identity: identityOf(identityFile) },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

type Started = Pick<RunningPlatform, 'ports' | 'pids'> & {
  readonly adminPort: number;
  readonly tokenFile: string;
  readonly identityFile: string;
};

/** `npm start`, on ports that the system chooses. */
async function asOneProcess(folder: string, stack: AsyncDisposableStack): Promise<Started> {
  const names = ['EST', 'EST_HTTP', 'MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN', 'HEALTH'];
  const data = join(folder, 'data');
  const readyLine = () => {
    try {
      return /^.*"signet is ready".*$/m.exec(readFileSync(join(data, 'signet.log'), 'utf8'))?.[0];
    } catch {
      return undefined;
    }
  };
  const server = stack.use(
    await startServer({
      name: 'platform',
      binary: process.execPath,
      args: () => [join(import.meta.dirname, '../../apps/standalone/src/launch.ts')],
      env: {
        ...environment,
        ...Object.fromEntries(names.map((name) => [`SIGNET_${name}_PORT`, '0'])),
        SIGNET_DATA_DIR: data,
      },
      url: () => '',
      answers: async () => readyLine() !== undefined,
    }),
  );
  const { ports } = JSON.parse(readyLine() ?? '{}') as { ports: Record<string, number> };
  const port = (name: string) => {
    const found = ports[name];
    if (found === undefined) throw new Error(`the platform names no port "${name}"`);
    return found;
  };
  return {
    ports: { bootstrap: port('bootstrap'), est: port('est'), mqtt: port('mqtt') },
    pids: [server.pid],
    adminPort: port('admin'),
    tokenFile: join(data, 'admin-token'),
    identityFile: join(data, 'tls', 'est-ca.pem'),
  };
}

/** The topology of docker-compose.yml as processes, with servers of its own. */
async function onServers(folder: string, stack: AsyncDisposableStack): Promise<Started> {
  const directory = (name: string) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return { directory: path };
  };
  const config = join(import.meta.dirname, '../../deploy/nats.conf');
  const nats = stack.use(await startNats(bringTool('nats-server'), { ...directory('nats'), config }));
  const mongo = stack.use(await startFerretdb(bringTool('ferretdb'), directory('ferretdb')));
  const redis = stack.use(await startRedis(bringTool('redis-server'), directory('redis')));
  const topology = stack.use(
    await startTopology({
      ...{ nats: nats.url, mongo: mongo.url, redis: redis.url },
      ...{ directory: folder, ports: 'free', environment, log: warningsToStderr },
    }),
  );
  const dataOf = (service: string) => topology.services.get(service)?.plan.environment.SIGNET_DATA_DIR ?? '';
  return {
    ports: { bootstrap: topology.port(8444), est: topology.port(8443), mqtt: topology.port(8883) },
    pids: [nats, mongo, redis, ...topology.services.values()].map(({ pid }) => pid),
    adminPort: topology.port(8080),
    tokenFile: join(dataOf('admin-api'), 'admin-token'),
    identityFile: join(dataOf('est-ca'), 'tls', 'est-ca.pem'),
  };
}

/** A bench that fails shows what the services had to say. */
function warningsToStderr(service: string, line: string): void {
  if (/"level":"(warn|error|fatal)"/.test(line) || !line.startsWith('{'))
    process.stderr.write(`${service}: ${line}\n`);
}

function identityOf(file: string): { readonly cert: string; readonly key: string } {
  const pem = readFileSync(file, 'latin1');
  const key = /-----BEGIN PRIVATE KEY-----[\s\S]*?-----END PRIVATE KEY-----\n/.exec(pem)?.[0] ?? '';
  return { key, cert: pem.replace(key, '') };
}
