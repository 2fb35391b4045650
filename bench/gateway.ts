import { Agent, request } from 'node:https';
import { startChild } from './est/child.ts';
import { each } from './est/enrolment-client.ts';

const ROUNDS = 8;
const WARM_UP = 2000;
const PER_ROUND = 2000;
const WIDTH = 8;

type Started = { port: number; cert: string; key: string; ca: string; server: { cert: string; key: string } };

/**
 * `GET /config` answered 304 on kept connections with mutual TLS, against the gateway in embedded mode in a process of its
 * own, beside a bare https server with our listener's options that answers 304 to the same client. Rounds alternate,
 * medians are reported.
 */
export async function gateway(): Promise<object> {
  using child = startChild('../gateway/gateway-server.ts');
  using bareChild = startChild('../gateway/gateway-server.ts');
  const { server, port, ...identity } = await child.ask<Started>({ start: true });
  const bareAt = await bareChild.ask<{ port: number }>({ bare: server });
  const kept = () => new Agent({ ...identity, keepAlive: true, maxSockets: WIDTH, scheduling: 'fifo' });
  const targets = {
    own: { port, agent: kept(), cpu: () => child.ask<number>({ ask: 'cpu' }) },
    bare: { port: bareAt.port, agent: kept(), cpu: () => bareChild.ask<number>({ ask: 'cpu' }) },
  };
  const since = await lastModified(targets.own, port);
  const ask = async (target: { port: number; agent: Agent }, count: number): Promise<void> => {
    await each(Array(count).fill(0), WIDTH, async () => {
      const { status } = await get(target, since);
      if (status !== 304) throw new Error(`GET /config: ${status}`);
    });
  };
  const rounds = { own: [] as Round[], bare: [] as Round[] };
  for (const target of Object.values(targets)) await ask(target, WARM_UP);
  for (let round = 0; round < ROUNDS; round++)
    for (const name of ['bare', 'own'] as const) {
      const before = await targets[name].cpu();
      const start = performance.now();
      await ask(targets[name], PER_ROUND);
      const seconds = (performance.now() - start) / 1000;
      const serverCpuMs = ((await targets[name].cpu()) - before) / PER_ROUND;
      rounds[name].push({ perSecond: PER_ROUND / seconds, serverCpuMs });
    }
  for (const { agent } of Object.values(targets)) agent.destroy();
  const own = medians(rounds.own);
  const bare = medians(rounds.bare);
  return {
    ...{ bench: 'gateway', ...own, bareHttps: bare },
    ratio: Number((own.serverCpuMs / bare.serverCpuMs).toFixed(2)),
  };
}

type Round = { readonly perSecond: number; readonly serverCpuMs: number };

async function lastModified(target: { agent: Agent }, port: number): Promise<string> {
  const { status, date } = await get({ ...target, port });
  if (status !== 200 || date === undefined) throw new Error(`GET /config: ${status}`);
  return date;
}

function get(
  { port, agent }: { port: number; agent: Agent },
  since?: string,
): Promise<{ status: number; date: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; date: string | undefined }>();
  const headers = since === undefined ? {} : { 'If-Modified-Since': since };
  const outgoing = request({ host: 'localhost', port, path: '/config', agent, headers }, (response) => {
    response.resume();
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, date: response.headers.date }));
  });
  outgoing.on('error', reject);
  outgoing.end();
  return promise;
}

function medians(rounds: readonly Round[]): Round {
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  return {
    perSecond: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    serverCpuMs: Number(median(rounds.map(({ serverCpuMs }) => serverCpuMs)).toFixed(3)),
  };
}
