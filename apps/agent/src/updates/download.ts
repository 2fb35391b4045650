import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { dirname } from 'node:path';
import tls from 'node:tls';
import { deadlineIn } from '@signet/async';
import type { ArtifactStatement } from '@signet/contracts';
import { AgentError } from '../agent-error.ts';

const IDLE_MS = 30_000;
/** What one try may take: a server that drips is left, and the next try goes on from there. */
const LEAST_MS = 600_000;
const LEAST_BYTES_IN_MS = 1;

export type Download = {
  readonly url: string;
  /** Where the artifact grows; what lies there is gone on with. */
  readonly path: string;
  readonly facts: Pick<ArtifactStatement, 'size' | 'sha256'>;
  /** PEM of roots that the server may chain to besides those of the system. */
  readonly trustAnchors: readonly string[];
  readonly signal: AbortSignal;
  /** What one try may take, ms; by default it grows with what is missing. */
  readonly deadlineMs?: number;
};

/**
 * Fetches an artifact into a file, from where an earlier try was cut (RFC 9110 §14.2). Never more than its size is
 * written. What was gone on with and has another digest is fetched once more from the start.
 * @throws AgentError `unreachable`, `refused`, `disk`; `bad-update` where it is not what was signed, and then nothing is left
 */
export async function download(order: Download): Promise<void> {
  try {
    await downloaded(order);
  } catch (cause) {
    if (cause instanceof AgentError || !(cause instanceof Error) || !('syscall' in cause)) throw cause;
    throw new AgentError('disk', `artifact: ${cause.message}`, { cause });
  }
}

async function downloaded(order: Download): Promise<void> {
  await mkdir(dirname(order.path), { recursive: true, mode: 0o700 });
  const kept = await sizeOf(order.path);
  if (kept > order.facts.size) await rm(order.path);
  const isResumed = kept > 0 && kept <= order.facts.size;
  try {
    await complete(order);
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'bad-update') throw error;
    await rm(order.path, { force: true });
    if (!isResumed) throw error;
    await complete(order).catch(async (again: unknown) => {
      if (again instanceof AgentError && again.code === 'bad-update') await rm(order.path, { force: true });
      throw again;
    });
  }
}

async function complete(order: Download): Promise<void> {
  const { path, facts } = order;
  if ((await sizeOf(path)) < facts.size) await fetchRest(order);
  const size = await sizeOf(path);
  if (size !== facts.size) throw bad(`it has ${size} bytes, not ${facts.size}`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  const digest = hash.digest('hex');
  if (digest !== facts.sha256) throw bad(`its SHA-256 is ${digest}, not ${facts.sha256}`);
}

async function fetchRest(order: Download): Promise<void> {
  const { path, facts, url } = order;
  const from = await sizeOf(path);
  const { deadlineMs = LEAST_MS + (facts.size - from) / LEAST_BYTES_IN_MS } = order;
  const late = deadlineIn(deadlineMs);
  const failed = (cause: unknown) =>
    cut(
      url,
      late.aborted ? new Error(`not the whole artifact within ${deadlineMs / 1000} s`, { cause }) : cause,
    );
  const response = await ask({ ...order, signal: AbortSignal.any([order.signal, late]) }, from, failed);
  try {
    const { statusCode: status = 0 } = response;
    const isRest = status === 206 && startOf(response) === from && from > 0;
    if (!isRest && status !== 200) {
      if (status === 206 || status === 416) throw bad(`${status}: the server gives another part of it`);
      throw new AgentError('refused', `${new URL(url).host}: ${status}`, { status });
    }
    await using file = await open(path, isRest ? 'a' : 'w', 0o600);
    let size = isRest ? from : 0;
    for await (const chunk of received(response, failed)) {
      size += chunk.length;
      if (size > facts.size) throw bad(`it is longer than ${facts.size} bytes`);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    response.destroy();
  }
}

/** The answer once its head is there. No redirect is followed, and no identity shown. */
async function ask(
  { url, trustAnchors, signal }: Download,
  from: number,
  failed: (cause: unknown) => AgentError,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request(
    url,
    {
      agent: false,
      ca: [...systemRoots(), ...trustAnchors],
      timeout: IDLE_MS,
      headers: {
        'user-agent': 'signet-agent',
        'accept-encoding': 'identity',
        ...(from > 0 ? { range: `bytes=${from}-` } : {}),
      },
      signal,
    },
    resolve,
  );
  sent.on('timeout', () => sent.destroy(new Error(`nothing came for ${IDLE_MS} ms`)));
  sent.on('error', (cause) => reject(failed(cause)));
  sent.end();
  return promise;
}

function startOf({ headers }: IncomingMessage): number {
  return Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? Number.NaN);
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

/** The body; what it breaks off with is the server's or the network's, and not of the disk. */
async function* received(
  response: IncomingMessage,
  failed: (cause: unknown) => AgentError,
): AsyncGenerator<Buffer> {
  try {
    yield* response as AsyncIterable<Buffer>;
  } catch (cause) {
    throw failed(cause);
  }
}

function cut(url: string, cause: unknown): AgentError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('unreachable', `${new URL(url).host}: ${reason}`, { cause });
}

function bad(reason: string): AgentError {
  return new AgentError('bad-update', `artifact: ${reason}`);
}

/** Node before 22.15 has no roots of the system but those that it came with. */
function systemRoots(): readonly string[] {
  return tls.getCACertificates?.('default') ?? tls.rootCertificates;
}
