import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_END, parseCertificatePem, verifyCertificateSignature } from '@signet/pki';
import { createLogger, openBackbone } from '@signet/service';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyFolder } from '../src/adapters/key-stores.ts';
import { openCollections } from '../src/collections.ts';
import { ensureHierarchy } from '../src/domain/authority/ensure-hierarchy.ts';
import { publicUrls } from '../src/domain/authority/revocation-urls.ts';

const DAY = 86_400_000;
const script = join(import.meta.dirname, 'support/first-start.ts');
const log = createLogger({ service: 'test', level: 'silent' });
let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'signet-first-start-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const keysOf = (folder: string) => keyFolder(join(folder, 'est-ca', 'keys'));

async function openPlatform() {
  const backbone = await openBackbone({
    store: `sqlite:${join(dataDir, 'signet.db')}`,
    bus: 'local',
    dataDir,
    name: 'test',
    log,
  });
  const { authorities } = await openCollections(backbone.store);
  return {
    authorities,
    start: async (folder = dataDir) =>
      ensureHierarchy({
        authorities,
        keys: await keysOf(folder),
        trustDomain: 'signet.local',
        urls: publicUrls('http://localhost:8081'),
        now: Date.now,
      }),
    [Symbol.asyncDispose]: () => backbone[Symbol.asyncDispose](),
  };
}

describe('the platform’s CAs', () => {
  it('are a root, and below it a factory, an issuing and a server CA, with keys encrypted at rest', async () => {
    await using platform = await openPlatform();
    const held = await platform.start();
    const [root, ...below] = held.map(({ certificate }) => certificate);
    if (root === undefined) throw new Error('no root');
    expect(held.map(({ document }) => document.kind)).toEqual(['root', 'factory', 'issuing', 'server']);
    for (const certificate of below) expect(verifyCertificateSignature(certificate, root)).toBe(true);
    const keys = join(dataDir, 'est-ca', 'keys');
    for (const name of await readdir(keys))
      expect([name, ((await stat(join(keys, name))).mode & 0o777).toString(8)]).toEqual([name, '600']);
  });

  it('F60: give bootstrap certificates no end: neither root nor factory CA has one, the others end after ten years', async () => {
    await using platform = await openPlatform();
    const ends = Object.fromEntries(
      (await platform.start()).map(({ document, certificate }) => [document.id, certificate.notAfter]),
    );
    expect([ends.root, ends.factory]).toEqual([NO_END, NO_END]);
    for (const id of ['issuing', 'server'])
      expect(((ends[id] ?? 0) - Date.now()) / DAY).toBeCloseTo(3652, -1);
  });

  it('are found again at the second start', async () => {
    await using platform = await openPlatform();
    const first = await platform.start();
    const second = await platform.start();
    expect(second.map(({ document }) => document)).toEqual(first.map(({ document }) => document));
  });

  it('are one PKI where two replicas with one key folder start at once', async () => {
    await using platform = await openPlatform();
    const [one, other] = await Promise.all([platform.start(), platform.start()]);
    expect(other?.map(({ document }) => document)).toEqual(one?.map(({ document }) => document));
  });

  it('are not served by a replica with another key folder', async () => {
    await using platform = await openPlatform();
    await platform.start();
    await expect(platform.start(join(dataDir, 'other'))).rejects.toMatchObject({
      code: 'missing-key',
      message: expect.stringContaining('CA "factory"'),
    });
  });

  it('are not made twice where another key folder made them a moment ago', async () => {
    await using platform = await openPlatform();
    const results = await Promise.allSettled([platform.start(), platform.start(join(dataDir, 'other'))]);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    for (const result of results)
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ code: expect.stringMatching(/^(foreign|missing)-key$/) });
  });

  it.each(['root', 'factory', 'issuing'])(
    'are completed after a kill -9 as soon as the key of the %s CA lay on disk',
    async (id) => {
      const child = spawn(process.execPath, [script, dataDir], { stdio: 'ignore' });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const path = join(dataDir, 'est-ca', 'keys', `${id}.key.pem`);
      while (child.exitCode === null && !(await exists(path)))
        await new Promise((resolve) => setImmediate(resolve));
      child.kill('SIGKILL');
      await ended;
      await using platform = await openPlatform();
      const held = await platform.start();
      expect(held.map(({ document }) => document.id)).toEqual(['root', 'factory', 'issuing', 'server']);
      const root = parseCertificatePem(held[0]?.document.certificate ?? '');
      for (const { certificate } of held) expect(verifyCertificateSignature(certificate, root)).toBe(true);
      expect(await platform.start()).toHaveLength(4);
    },
  );
});

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
