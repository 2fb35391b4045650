import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGrant } from '@signet/contracts';
import { createCsr, generateKeyPair } from '@signet/pki';
import { createLogger, openBackbone } from '@signet/service';
import { bringTool } from '@signet/tests/servers/bring-tool';
import { startFerretdb, startNats } from '@signet/tests/servers/start';
import { contextOf, type Enrolment, each, keptConnections, post } from './est/enrolment-client.ts';

const COUNT = 120;
const WARM_UP = 16;
const WIDTH = 16;
const ROUNDS = 1;

type Run = { readonly perSecond: number; readonly serverCpuMs: number };

/**
 * Enrolments by grant, without a client certificate, on kept connections against est-ca with NATS and FerretDB: by one
 * process and by `workers` of them, in turn. CPU is that of all processes of est-ca, the supervisor among them; servers
 * and the load generator run on the same machine.
 */
export async function estWorkers(workers: number): Promise<object> {
  const one: Run[] = [];
  const many: Run[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    one.push(await measure(1));
    many.push(await measure(workers));
  }
  const best = (runs: readonly Run[]) => runs.toSorted((a, b) => b.perSecond - a.perSecond)[0] as Run;
  return {
    bench: 'est',
    store: 'ferretdb',
    bus: 'nats',
    workers: { 1: best(one), [workers]: best(many) },
    ratio: Number((best(many).perSecond / best(one).perSecond).toFixed(2)),
  };
}

async function measure(workers: number): Promise<Run> {
  await using stack = new AsyncDisposableStack();
  const root = mkdtempSync(join(tmpdir(), 'signet-bench-'));
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const directory = (name: string) => {
    mkdirSync(join(root, name));
    return { directory: join(root, name) };
  };
  const nats = await startNats(bringTool('nats-server'), directory('nats'));
  stack.defer(() => nats.stop());
  const mongo = await startFerretdb(bringTool('ferretdb'), directory('mongo'));
  stack.defer(() => mongo.stop());
  const env = {
    PATH: process.env.PATH ?? '',
    SIGNET_STORE: `${mongo.url}signet`,
    SIGNET_BUS: nats.url,
    SIGNET_DATA_DIR: join(root, 'data'),
    SIGNET_BIND: '127.0.0.1',
    SIGNET_EST_PORT: '0',
    SIGNET_EST_HTTP_PORT: '0',
    SIGNET_HEALTH_PORT: '0',
    SIGNET_EST_WORKERS: String(workers),
    SIGNET_EST_GRANT_MINUTES: '120',
  };
  const main = startMain(env);
  stack.defer(async () => {
    main.process.kill('SIGTERM');
    await once(main.process, 'close');
  });
  const { port, pids } = await main.ready(workers);
  const log = createLogger({ service: 'bench', level: 'silent' });
  const backbone = stack.use(
    await openBackbone({
      ...{ store: env.SIGNET_STORE, bus: env.SIGNET_BUS, dataDir: join(root, 'bench'), name: 'bench', log },
    }),
  );
  const { enrolments, anchors } = await prepared(backbone.bus);
  const agent = keptConnections(WIDTH);
  const run = (batch: readonly Enrolment[]) =>
    each(batch, WIDTH, async (enrolment) => void (await post({ port, anchors }, enrolment, agent)));
  await run(enrolments.slice(0, WARM_UP));
  const batch = enrolments.slice(WARM_UP);
  const cpu = cpuMs(pids);
  const start = performance.now();
  await run(batch);
  const seconds = (performance.now() - start) / 1000;
  const serverCpuMs = Number(((cpuMs(pids) - cpu) / batch.length).toFixed(3));
  agent.destroy();
  return { perSecond: Math.round(batch.length / seconds), serverCpuMs };
}

async function prepared(bus: Awaited<ReturnType<typeof openBackbone>>['bus']) {
  const enrolments: Enrolment[] = [];
  let anchors = '';
  const numbers = Array.from({ length: WARM_UP + COUNT }, (_, i) => i);
  await each(numbers, WIDTH, async (i) => {
    const deviceId = `device-${i}`;
    const input = { account: 'bench', deviceId, fingerprint: 'f'.repeat(64) };
    const made = await bus.request(createGrant, input, { deadlineMs: 30_000 });
    anchors ||= made.trustAnchors.join('');
    const csr = createCsr({ privateKey: generateKeyPair('P-256').privateKey });
    const text = Buffer.from(csr).toString('base64');
    enrolments.push({
      deviceId,
      grant: made.grant,
      csr: text,
      context: contextOf(undefined, undefined, anchors),
    });
  });
  return { enrolments, anchors };
}

function startMain(env: Record<string, string>) {
  const path = join(import.meta.dirname, '..', 'services', 'est-ca', 'src', 'main.ts');
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, [path], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout);
  return {
    process: child,
    /** @returns the port, and the ids of all processes of the service */
    async ready(workers: number): Promise<{ readonly port: number; readonly pids: readonly number[] }> {
      const pids = [child.pid ?? 0];
      for await (const text of lines) {
        const line = JSON.parse(text) as {
          msg: string;
          pid?: number;
          workers?: number;
          ports?: { est: number };
        };
        if (line.msg === 'worker: starts' && line.pid !== undefined) pids.push(line.pid);
        const all = workers === 1 || line.workers === workers;
        if (line.msg !== 'est-ca is ready' || !all || line.ports === undefined) continue;
        child.stdout.resume();
        return { port: line.ports.est, pids };
      }
      throw new Error('est-ca ended before it was ready');
    },
  };
}

/** User and system time of processes (Linux: in ticks of 10 ms). */
function cpuMs(pids: readonly number[]): number {
  return pids
    .map((pid) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [])
    .reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) * 10, 0);
}
