import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CONNECTIONS = 32;
const ROUNDS = 9;
const ROUND_MS = 1000;

type Servers = { readonly path: string; readonly ours: number; readonly bare: number };

/**
 * OCSP answers that are at hand, by GET over kept connections, against a plain http server that answers the same bytes
 * from the same process. The load comes from this process; rounds of the two alternate, medians are reported.
 */
export async function ocsp(): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-ocsp-'));
  const child = fork(new URL('./ocsp/servers.ts', import.meta.url), [folder]);
  try {
    const [{ path, ours, bare }] = (await once(child, 'message')) as [Servers];
    await answersIn(ROUND_MS, ours, path);
    await answersIn(ROUND_MS, bare, path);
    const [own, plain]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      own.push(await answersIn(ROUND_MS, ours, path));
      plain.push(await answersIn(ROUND_MS, bare, path));
    }
    const [perSecond, bareHttpPerSecond] = [median(own), median(plain)];
    return {
      bench: 'ocsp',
      perSecond,
      bareHttpPerSecond,
      ratio: Number((perSecond / bareHttpPerSecond).toFixed(3)),
      connections: CONNECTIONS,
    };
  } finally {
    child.disconnect();
    rmSync(folder, { recursive: true });
  }
}

/** Answers that come in `ms`, each connection asking again as soon as it was answered; per second. */
async function answersIn(ms: number, port: number, path: string): Promise<number> {
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const length = await answerLength(port, request);
  let answers = 0;
  const sockets = Array.from({ length: CONNECTIONS }, () => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    let missing = length;
    socket.on('data', (data) => {
      missing -= data.length;
      if (missing > 0) return;
      if (missing < 0) throw new Error('ocsp: an answer of another length');
      answers++;
      missing = length;
      socket.write(request);
    });
    return socket;
  });
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const perSecond = Math.round((answers * 1000) / (performance.now() - start));
  for (const socket of sockets) socket.destroy();
  return perSecond;
}

/** Bytes of one answer, head and all; it must be a 200. */
async function answerLength(port: number, request: string): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  let text = '';
  socket.setEncoding('latin1');
  for await (const part of socket) {
    text += part;
    const head = text.indexOf('\r\n\r\n');
    const body = Number(/content-length: (\d+)/i.exec(text)?.[1]);
    if (head >= 0 && text.length === head + 4 + body) break;
  }
  if (!text.startsWith('HTTP/1.1 200')) throw new Error(`ocsp: ${text.split('\r\n')[0]}`);
  return text.length;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
