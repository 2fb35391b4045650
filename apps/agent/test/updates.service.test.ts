import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import {
  ARTIFACT_TYPE,
  type ArtifactEntry,
  ConfigFile,
  type ReportedUpdate,
  signStatement,
} from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RunEvent, run } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';

const artifact = randomBytes(300_000);
const other = randomBytes(300_000);
/** The HTTPS server of whoever makes the software: it knows nothing of the platform. */
const pki = createTestPki();
const server = createServer(pki.serverIdentity());
/** What it does with the next requests, in their order; else it gives the artifact. */
const mishaps: ('cut' | 'too-long' | 'other' | 'away')[] = [];
const ranges: (string | undefined)[] = [];
server.on('request', (request, response) => {
  const mishap = mishaps.shift();
  const { range } = request.headers;
  ranges.push(range);
  if (mishap === 'away') return void response.writeHead(503).end();
  if (mishap === 'other') return void response.end(other);
  if (mishap === 'too-long') return void response.end(Buffer.concat([artifact, Buffer.from('!')]));
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const length = artifact.length - from;
  response.writeHead(from === 0 ? 200 : 206, {
    'content-length': length,
    ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${artifact.length - 1}/${artifact.length}` }),
  });
  if (mishap !== 'cut') return void response.end(artifact.subarray(from));
  response.write(artifact.subarray(from, from + length / 2), () => setImmediate(() => response.destroy()));
});

let env: DevEnv;
let factory: TestFactory;
let url: string;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
  factory = stack.use(await TestFactory.open(env));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => void server.close());
  url = `https://localhost:${(server.address() as AddressInfo).port}/app`;
  const known = getCACertificates('default');
  setDefaultCACertificates([...known, pki.trustAnchors]);
  stack.defer(() => setDefaultCACertificates(known));
});
afterAll(() => stack.disposeAsync());

/** A claimed device with a handler that copies what it gets, and one that fails. */
async function device(id: string): Promise<Made> {
  const made = await factory.claimed(id);
  const handlers = join(made.folder.path, 'handlers');
  await mkdir(handlers, { recursive: true });
  const programs = {
    install: 'cp "$ARTIFACT_FILE" "$1" && echo "$ARTIFACT_NAME $ARTIFACT_VERSION" >> "$1.log"',
    fail: 'echo "no room for $ARTIFACT_NAME"; exit 3',
  };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(handlers, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(handlers, name), 0o700);
  }
  return made;
}

const installed = ({ folder }: Made) => join(folder.path, 'app');

async function entryFor(made: Made, more: Partial<ArtifactEntry> = {}): Promise<ArtifactEntry> {
  const facts = {
    name: 'app',
    version: more.version ?? '1.0.0',
    size: artifact.length,
    sha256: createHash('sha256').update(artifact).digest('hex'),
  };
  const { jws } = await env.operator.post<{ jws: string }>('/v1/accounts/acme/artifacts/sign', facts);
  return { ...facts, url, jws, handler: ['install', installed(made)], timeoutSeconds: 10, ...more };
}

async function put({ id }: Made, ...entries: unknown[]): Promise<void> {
  const file = ConfigFile.parse({
    name: 'signet-updates',
    value: JSON.stringify(entries),
    unencrypted: true,
  });
  await env.operator.put(`/v1/accounts/acme/devices/${id}/config`, { files: [file] });
}

/** Runs the device until the platform has heard how the update ended, and gives what it heard. */
async function heard(made: Made, updateId: string, isLast: (event: ReportedUpdate) => boolean) {
  const over = new AbortController();
  const events: RunEvent[] = [];
  const running = run(made.folder, {
    ...{ maxWaitMs: 500, configMs: 300, signal: over.signal },
    report: (event) => events.push(event),
  });
  try {
    return await vi.waitFor(async () => {
      const told = await toldOf(made, updateId);
      expect(told.some(isLast), JSON.stringify([told, events.slice(-5)])).toBe(true);
      return told.map(({ event, success, details }) => ({ event, success, details }));
    }, 30_000);
  } finally {
    over.abort();
    await running;
  }
}

async function toldOf({ id }: Made, updateId: string): Promise<ReportedUpdate[]> {
  const path = `/v1/accounts/acme/devices/${id}/updates/${updateId}`;
  return (await env.operator.get<{ items: ReportedUpdate[] }>(path)).items;
}

const isInstalled = ({ event }: ReportedUpdate) => event === 'EcuInstallationCompleted';
const isRefused = ({ event, success, details }: ReportedUpdate) =>
  event === 'EcuDownloadCompleted' && success === false && details?.endsWith('tried again') === false;
const started = { event: 'EcuDownloadStarted', success: undefined, details: undefined };
const wholeWay = [
  ['EcuDownloadStarted', undefined],
  ['EcuDownloadCompleted', true],
  ['EcuInstallationStarted', undefined],
  ['EcuInstallationCompleted', true],
];
const steps = (told: { event: string; success: boolean | undefined }[]) =>
  told.map(({ event, success }) => [event, success]);

describe('software updates', () => {
  it('F28: an artifact that the config names is fetched, verified, installed and told of, and once', async () => {
    const made = await device('updates');
    await put(made, await entryFor(made));
    expect(steps(await heard(made, 'app-1.0.0', isInstalled))).toEqual(wholeWay);
    expect(await readFile(installed(made))).toEqual(artifact);
    await put(made, await entryFor(made, { version: '1.0.1' }));
    expect(steps(await heard(made, 'app-1.0.1', isInstalled))).toEqual(wholeWay);
    // signed anew and so another entry, but of the version that is in place
    await put(made, await entryFor(made, { version: '1.0.1', timeoutSeconds: 11 }), {
      name: 'end',
      version: '1',
    });
    await heard(made, 'end-1', isRefused);
    expect(await readFile(`${installed(made)}.log`, 'utf8')).toBe('app 1.0.0\napp 1.0.1\n');
  });

  it('F28: a download that was cut goes on where it stopped, and one that failed is tried again', async () => {
    const made = await device('resumes');
    await put(made, await entryFor(made));
    ranges.length = 0;
    mishaps.push('cut', 'away');
    const told = await heard(made, 'app-1.0.0', isInstalled);
    expect(steps(told)).toEqual([
      ['EcuDownloadStarted', undefined],
      ['EcuDownloadCompleted', false],
      ...wholeWay.slice(1),
    ]);
    expect(told[1]?.details).toMatch(/^localhost:\d+: aborted; it is tried again$/);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[2]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(await readFile(installed(made))).toEqual(artifact);
  });

  it.each([
    ['another digest', 'other', /^artifact: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}$/],
    ['more bytes than were signed', 'too-long', /^artifact: it is longer than 300000 bytes$/],
  ] as const)(
    'F28: an artifact with %s is not installed, told of once, and not fetched again',
    async (_, mishap, details) => {
      const made = await device(`gets-${mishap}`);
      const entry = await entryFor(made);
      await put(made, entry);
      ranges.length = 0;
      mishaps.push('away', mishap);
      const told = await heard(made, 'app-1.0.0', isRefused);
      expect(told).toEqual([
        started,
        {
          ...{ event: 'EcuDownloadCompleted', success: false },
          details: expect.stringMatching(/^localhost:\d+: 503; it is tried again$/),
        },
        { event: 'EcuDownloadCompleted', success: false, details: expect.stringMatching(details) },
      ]);
      await put(made, entry, { name: 'end', version: '1' });
      await heard(made, 'end-1', isRefused);
      expect(ranges).toHaveLength(2);
      expect(await toldOf(made, 'app-1.0.0')).toHaveLength(3);
      await expect(readFile(installed(made))).rejects.toThrow('ENOENT');
    },
  );

  it('F28: what nobody signed, and what is signed as something else, is not even fetched', async () => {
    const made = await device('tampered');
    const entry = await entryFor(made);
    const [head, body, tail = ''] = entry.jws.split('.');
    const forged = `${head}.${body}.${tail.startsWith('A') ? 'B' : 'A'}${tail.slice(1)}`;
    ranges.length = 0;
    await put(made, { ...entry, jws: forged });
    expect((await heard(made, 'app-1.0.0', isRefused))[1]?.details).toMatch(/^signature: bad-signature: /);
    const { name, size, sha256 } = entry;
    const signedBy = async (
      account: string,
      type: 'signet-command+jws' | typeof ARTIFACT_TYPE,
      version: string,
    ) => {
      const payload = Buffer.from(JSON.stringify({ name, version, size, sha256 })).toString('base64url');
      const { jws } = await env.deps.bus.request(signStatement, { account, type, payload });
      await put(made, { ...entry, version, jws });
      return (await heard(made, `app-${version}`, isRefused))[1]?.details;
    };
    expect(await signedBy('rival', ARTIFACT_TYPE, '1.1.0')).toMatch(
      /^signature: wrong-signer: .*\/rival\/commands" may not say this$/,
    );
    expect(await signedBy('acme', 'signet-command+jws', '1.2.0')).toMatch(/^signature: malformed: typ: /);
    await put(made, { ...entry, version: '2.0.0' });
    expect((await heard(made, 'app-2.0.0', isRefused))[1]?.details).toBe(
      'signature: it is over another artifact than the config names',
    );
    await put(made, { ...entry, version: '3.0.0', url: url.replace('https', 'http') });
    expect((await heard(made, 'app-3.0.0', isRefused))[1]?.details).toBe('url: https:// is needed');
    expect(ranges).toEqual([]);
  });

  it('F28: a handler that fails is told of with what it printed, and not run again', async () => {
    const made = await device('fails');
    await put(made, await entryFor(made, { handler: ['fail'] }));
    const told = await heard(made, 'app-1.0.0', isInstalled);
    expect(told.at(-1)).toEqual({
      ...{ event: 'EcuInstallationCompleted', success: false },
      details: 'no room for app\n',
    });
    ranges.length = 0;
    await put(made, await entryFor(made, { handler: ['../../bin/sh'], version: '1.0.1' }));
    expect((await heard(made, 'app-1.0.1', isInstalled)).at(-1)?.details).toMatch(/: not a program of /);
    expect(await toldOf(made, 'app-1.0.0')).toHaveLength(4);
    expect(ranges).toHaveLength(1);
  });
});
