import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { generateKeyPair } from '@signet/pki';
import { createTestPki, makeCertificate } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeviceFolder } from './device-folder.ts';
import { lockFolder } from './folder-lock.ts';
import { jittered } from './pause.ts';

let path: string;
let folder: DeviceFolder;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'signet-folder-'));
  folder = new DeviceFolder(path);
});
afterEach(() => rm(path, { recursive: true, force: true }));

const pki = createTestPki();
function identity() {
  const { privateKey, publicKey } = generateKeyPair('P-256');
  const certificate = makeCertificate({
    subject: { commonName: 'dev-1' },
    publicKey,
    issuer: pki.server.certificate.subject,
    signingKey: pki.server.privateKey,
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 86_400_000,
  });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: certificate.pem(),
  };
}

const trust = pki.root.pem;
async function putFactoryFiles() {
  const { key, certificate } = identity();
  await folder.putFactoryFiles({ key, certificate, trust, url: 'https://localhost:8444' });
}

describe('a device folder', () => {
  it('keeps what the factory puts in, for its owner alone, and leaves no half-written file', async () => {
    await putFactoryFiles();
    expect(await folder.factoryFiles()).toMatchObject({ url: 'https://localhost:8444', trust });
    const names = await readdir(path);
    expect(names.sort()).toEqual(['bootstrap.crt', 'bootstrap.json', 'bootstrap.key', 'trust.pem']);
    for (const name of names) expect((await stat(join(path, name))).mode & 0o777).toBe(0o600);
  });

  it('brings key and certificate into force together, and forgets the pending key', async () => {
    const made = identity();
    await folder.putPendingKey(made.key);
    await folder.putOperational(made);
    expect((await folder.operational())?.certificate).toBe(`${made.certificate.trim()}\n`);
    expect(await folder.pendingKey()).toBeUndefined();
  });

  it('names the file that is missing', async () => {
    await expect(folder.factoryFiles()).rejects.toMatchObject({
      code: 'not-a-device-folder',
      message: `${path}/bootstrap.key: missing; the factory puts it in`,
    });
  });

  it.each([
    ['bootstrap.key', 'garbage', /bootstrap\.key: no private key: /],
    ['bootstrap.crt', 'garbage', /bootstrap\.crt: no certificate: /],
    ['bootstrap.crt', identity().certificate, /bootstrap\.crt: the certificate is for another key$/],
    ['bootstrap.json', '{"url":', /bootstrap\.json: broken: /],
    ['bootstrap.json', '{"url":"nowhere"}', /bootstrap\.json: broken: /],
  ])('names a broken %s', async (name, text, message) => {
    await putFactoryFiles();
    await writeFile(join(path, name), text);
    await expect(folder.factoryFiles()).rejects.toMatchObject({
      code: 'broken-folder',
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['operational.pem', () => folder.operational(), /operational\.pem: no private key: /],
    ['bundle.json', () => folder.bundle(), /bundle\.json: broken: /],
    ['pending.key', () => folder.pendingKey(), /pending\.key: no private key: /],
  ])('names a broken %s', async (name, read, message) => {
    await writeFile(join(path, name), 'garbage');
    await expect(read()).rejects.toMatchObject({
      code: 'broken-folder',
      message: expect.stringMatching(message),
    });
  });
});

describe('the lock', () => {
  it('is had by one agent at a time', async () => {
    {
      await using _lock = await lockFolder(path);
      await expect(lockFolder(path)).rejects.toMatchObject({
        code: 'folder-in-use',
        message: `${path}/agent.lock: process ${process.pid} runs this device already`,
      });
    }
    await using _again = await lockFolder(path);
  });

  it.each([
    ['a process that is gone', `${2 ** 22 - 1} \n`],
    ['another process with the same id, after a power cut', `${process.pid} boot 1\n`],
    ['a file that a power cut left empty', ''],
    ['a file that a power cut left broken', '12'],
  ])('is taken over from %s', async (_, text) => {
    await writeFile(join(path, 'agent.lock'), text);
    await using _lock = await lockFolder(path);
  });

  it('of an agent that was killed, though nobody has buried it, is taken over by exactly one of many', async () => {
    // the shell becomes a program that does not wait for its children
    const unburied = spawn('sh', [
      '-c',
      `${process.execPath} -e 'process.kill(process.pid, 9)' & echo $!; exec sleep 600`,
    ]);
    const [pid] = (await once(unburied.stdout, 'data')).map(Number);
    const fields = async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    await vi.waitFor(async () => expect((await fields())[0]).toBe('Z'), 20_000);
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const lock = `${pid} ${boot} ${(await fields())[19]}\n`;
    const module = join(import.meta.dirname, 'folder-lock.ts');
    const script = `const { lockFolder } = await import(${JSON.stringify(module)});
      setInterval(() => {}, 1000);
      process.send('ready');
      process.on('message', () => lockFolder(${JSON.stringify(path)}).then(
        () => process.send('has it'), (error) => process.send(error.code)));`;
    const agents = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    );
    try {
      const heard = () => Promise.all(agents.map(async (agent) => (await once(agent, 'message'))[0]));
      await heard();
      for (let round = 0; round < 20; round++) {
        await writeFile(join(path, 'agent.lock'), lock);
        const answers = heard();
        for (const agent of agents) agent.send('now');
        expect((await answers).sort()).toEqual(['folder-in-use', 'folder-in-use', 'folder-in-use', 'has it']);
      }
    } finally {
      for (const child of [...agents, unburied]) child.kill('SIGKILL');
    }
  });
});

it('waits are spread by chance, grow, and have a ceiling', () => {
  expect(jittered(0, 250, 60_000, () => 1)).toBe(250);
  expect(jittered(3, 250, 60_000, () => 1)).toBe(2000);
  expect(jittered(3, 250, 60_000, () => 0)).toBe(0);
  expect(jittered(50, 250, 60_000, () => 1)).toBe(60_000);
});
