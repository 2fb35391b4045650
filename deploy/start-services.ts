import { createWriteStream, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bringBinary, onPath } from '@signet/tests/servers/binaries';
import { freePort, natsAnswers, startFerretdb, startNats, startRedis } from '@signet/tests/servers/start';
import { startTopology } from './run-topology.ts';

const usage = `npm run start:services -- [options]
Runs the topology of docker-compose.yml as processes of this machine: six services over NATS, MongoDB and Redis.
  --nats URL    a NATS server to use (default: one is started)
  --mongo URL   a MongoDB server to use, mongodb://host:port/ (default: FerretDB is started)
  --redis URL   a Redis server to use (default: one is started)
  --data DIR    where data and logs lie (default: ./data/services)
  --replicas N  how many of each service, behind a balancer of TCP connections (default: 1; more want MongoDB)
  --ports WHICH standard (those of the compose file, the default) or free (whatever is free)`;

const { values } = parseArgs({
  options: {
    nats: { type: 'string' },
    mongo: { type: 'string' },
    redis: { type: 'string' },
    data: { type: 'string', default: './data/services' },
    ports: { type: 'string', default: 'standard' },
    replicas: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

const say = (line: string) => process.stdout.write(`${line}\n`);
const data = resolve(values.data);
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

const replicas = Number(values.replicas);
if (!Number.isInteger(replicas) || replicas < 1 || replicas > 9) {
  process.stderr.write(`--replicas: "${values.replicas}" is not a whole number from 1 to 9\n`);
  process.exit(2);
}
if (replicas > 1 && values.mongo === undefined) {
  process.stderr.write(
    '--replicas: needs --mongo: FerretDB, which is started here by default, does not write documents atomically\n',
  );
  process.exit(2);
}

process.exitCode = await main();

async function main(): Promise<number> {
  await using stack = new AsyncDisposableStack();
  try {
    await run(stack);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  } finally {
    say('Stopping.');
  }
}

async function run(stack: AsyncDisposableStack): Promise<void> {
  mkdirSync(data, { recursive: true });
  const servers = await bringServers(stack);
  const log = createWriteStream(join(data, 'services.log'), { flags: 'a' });
  stack.defer(() => void log.end());
  const topology = stack.use(
    await startTopology({
      ...servers,
      replicas,
      directory: data,
      ports: values.ports === 'free' ? 'free' : 'standard',
      log: (service, line) => log.write(`${service}: ${line}\n`),
      signal: stopping.signal,
    }),
  );
  for (const { plan, pid } of topology.services.values()) {
    say(`${plan.name.padEnd(16)} ready, process ${pid}, health http://127.0.0.1:${plan.healthPort}/ready`);
  }
  say(directions(servers));
  const exits = [...topology.services.values()].map(({ plan, exited }) => exited.then(() => plan.name));
  const gone = await Promise.race([...exits, aborted(stopping.signal)]);
  if (gone !== undefined) throw new Error(`${gone} ended; see ${join(data, 'services.log')}`);
}

async function bringServers(stack: AsyncDisposableStack) {
  const folder = (name: string) => {
    const directory = join(data, name);
    mkdirSync(directory, { recursive: true });
    return { directory };
  };
  const config = join(import.meta.dirname, 'nats.conf');
  // a downstream system finds NATS where it usually is, if that is free
  const port = (await natsAnswers(4222)) ? await freePort() : 4222;
  const nats =
    values.nats ?? stack.use(await startNats(binary('nats-server'), { ...folder('nats'), port, config })).url;
  say(`${'nats'.padEnd(16)} ${nats}`);
  const mongo = values.mongo ?? stack.use(await startFerretdb(binary('ferretdb'), folder('ferretdb'))).url;
  say(`${'mongodb'.padEnd(16)} ${mongo}${values.mongo === undefined ? ' (FerretDB)' : ''}`);
  const redis = values.redis ?? stack.use(await startRedis(redisServer(), folder('redis'))).url;
  say(`${'redis'.padEnd(16)} ${redis}`);
  return { nats, mongo, redis };
}

function binary(name: 'nats-server' | 'ferretdb'): string {
  const brought = bringBinary(name, say);
  if ('missing' in brought) throw new Error(`${brought.missing}; give a server's URL instead (--help)`);
  return brought.path;
}

function redisServer(): string {
  const path = onPath('redis-server');
  if (path === undefined)
    throw new Error("redis-server is not installed; give a server's URL instead (--help)");
  return path;
}

function directions({ nats }: { nats: string }): string {
  return `
All six services are ready. Logs: ${join(data, 'services.log')}
Admin token: ${join(data, 'admin-api', 'admin-token')}

A downstream system subscribes with an ordinary NATS client:
  nats --server ${nats} subscribe 'signet.event.>'                     every event, as it comes
  nats --server ${nats} consumer add SIGNET_EVENTS my-system --pull    a durable consumer, which misses none
Subjects are signet.event.<account>.<partition>.<TYPE>.<device>; docs/reference/events.md describes each type.

Ctrl-C stops everything; the data stays.`;
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined));
  });
}
