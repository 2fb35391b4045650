import { spawnSync } from 'node:child_process';
import { onPath } from './binaries.ts';
import { freePort, type RunningServer } from './child.ts';
import { mongoAnswers, natsAnswers, redisAnswers } from './start.ts';

export type ContainerServer = 'nats' | 'mongo' | 'redis';

const images = {
  nats: { image: 'nats:2.12', port: 4222, args: ['-js'], env: [], answers: natsAnswers },
  mongo: {
    image: 'ferretdb/ferretdb:1.24.2',
    port: 27017,
    args: [],
    env: ['FERRETDB_HANDLER=sqlite', 'FERRETDB_TELEMETRY=disable'],
    answers: mongoAnswers,
  },
  redis: {
    image: 'redis:7',
    port: 6379,
    args: ['redis-server', '--save', '', '--appendonly', 'no'],
    env: [],
    answers: redisAnswers,
  },
} as const;
const schemes = { nats: 'nats', mongo: 'mongodb', redis: 'redis' } as const;

/** `docker` or `podman`, whichever has an engine that answers. */
export function containerEngine(): string | undefined {
  return ['docker', 'podman'].find(
    (name) =>
      onPath(name) !== undefined &&
      spawnSync(name, ['info'], { timeout: 20_000, stdio: 'ignore' }).status === 0,
  );
}

/** Runs a server in a container on a free port of 127.0.0.1. */
export async function startContainer(engine: string, name: ContainerServer): Promise<RunningServer> {
  const { image, port: inner, args, env, answers } = images[name];
  const port = await freePort();
  const settings = env.flatMap((setting) => ['--env', setting]);
  const run = [
    'run',
    '--rm',
    '--detach',
    '--publish',
    `127.0.0.1:${port}:${inner}`,
    ...settings,
    image,
    ...args,
  ];
  const started = spawnSync(engine, run, { encoding: 'utf8' });
  if (started.status !== 0) throw new Error(`${image}: ${started.stderr.trim().split('\n').at(-1)}`);
  const id = started.stdout.trim();
  const stop = async () => {
    spawnSync(engine, ['rm', '--force', id], { stdio: 'ignore' });
  };
  const exited = new Promise<void>(() => {});
  const deadline = Date.now() + 60_000;
  while (!(await answers(port))) {
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`${image}: does not answer`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url: `${schemes[name]}://127.0.0.1:${port}`,
    port,
    pid: 0,
    exited,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
