import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { encryptConfigValue } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { reencrypted } from '../src/config/values.ts';
import {
  AgentError,
  applyConfig,
  type DeviceFolder,
  GatewayClient,
  leaf,
  onboard,
  type RunEvent,
  reenroll,
  repair,
  rotate,
  run,
} from '../src/index.ts';
import { changed, cut, path, write } from './damage.ts';
import { TestFactory } from './devices.ts';
import { damages } from './repair-cases.ts';

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const SECRET = 'correct horse';
let made = 0;

/** A device at work: enrolled, with a secret in its config. */
async function atWork(): Promise<DeviceFolder> {
  const { folder, id } = await factory.claimed(`repair-${++made}`);
  const identity = await onboard(folder);
  const value = encryptConfigValue(leaf(identity).spkiDer, Buffer.from(SECRET));
  await env.operator.put(`/v1/accounts/acme/devices/${id}/config`, { files: [{ name: 'wifi', value }] });
  const gateway = new GatewayClient((await folder.bundle()) ?? expect.unreachable());
  const handlers = { folder: join(folder.path, 'handlers'), deadlineMs: 1000 };
  await applyConfig(folder, gateway, identity, { handlers, now: Date.now });
  return folder;
}

/** A rotation that was cut after EST had answered: the new key is announced. */
async function inRotation(folder: DeviceFolder): Promise<void> {
  const [bundle, identity] = [await folder.bundle(), await folder.operational()];
  if (bundle === undefined || identity === undefined) expect.unreachable();
  const key = await folder.keys.create();
  await folder.putPendingKey(key);
  const server = { ...bundle.est, trust: bundle.trustAnchors.join('\n'), keys: folder.keys };
  const next = await reenroll(server, { key, identity });
  await folder.putNextIdentity(next);
  const { publicKeyHash } = leaf(next);
  await folder.putRotation({
    ...{ id: 'certs-1669676316', step: 'enrolled', startedAt: 'then', publicKeyHash },
  });
}

/** What another device has in this file. */
const anothers = (file: string) => async (folder: DeviceFolder) => {
  const other = await atWork();
  await writeFile(path(folder, file), await readFile(path(other, file)));
};
/** All that lies in the folder, by its digest. */
async function contents({ path: folder }: DeviceFolder): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    all[file] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  }
  return all;
}

/** Runs the agent until it is connected with its config applied, or says what it cannot do. */
async function runs(folder: DeviceFolder): Promise<AgentError | string | undefined> {
  const over = new AbortController();
  const events: RunEvent[] = [];
  const ended = run(folder, {
    ...{ signal: over.signal, identity: false, maxWaitMs: 200, handlerMs: 5000 },
    report: (event) => void events.push(event),
  }).then(
    () => undefined,
    (error: unknown) => (error instanceof AgentError ? error : expect.unreachable(String(error))),
  );
  const isUnderWay = async () => {
    const rotation = await folder.rotation().catch(() => undefined);
    return rotation !== undefined && rotation.step !== 'completed';
  };
  const found = await Promise.race([
    ended,
    vi.waitFor(async () => {
      const failed = events.find(
        (event) =>
          (event.step === 'config-failed' || event.step === 'retrying') &&
          /path|json|pem|key/.test(event.reason),
      );
      if (failed !== undefined && 'reason' in failed) return failed.reason;
      expect(events.some(({ step }) => step === 'connected')).toBe(true);
      expect(await isUnderWay()).toBe(false);
      expect(await folder.config()).toBeDefined();
      return undefined;
    }, 20_000),
  ]);
  over.abort();
  await ended;
  return found;
}

describe('a device folder that is damaged', () => {
  it.each(damages({ atWork, inRotation }))(
    'by $what: named, not touched, mended, and the agent runs',
    async ({ damage, use = runs, file, reason, remedy }) => {
      const folder = await atWork();
      await damage(folder);
      const before = await contents(folder);
      const error = await use(folder).then(
        (found) => found,
        (thrown: unknown) => thrown,
      );
      const message = error instanceof AgentError ? error.message : error;
      const prefix = `${folder.path}/${file}: `;
      expect(message).toEqual(expect.stringContaining(prefix));
      expect(String(message).slice(prefix.length)).toMatch(reason);
      if (error instanceof AgentError) expect(error.code).toBe('broken-folder');
      expect((await contents(folder))[path(folder, file)]).toBe(before[path(folder, file)]);

      const dry = await repair(folder);
      expect(dry).toEqual([
        { file, reason: expect.stringMatching(reason), remedy: expect.stringMatching(remedy), done: false },
      ]);
      const [applied] = await repair(folder, { apply: true });
      expect(applied).toMatchObject({ file, done: true });
      expect(await repair(folder)).toEqual([]);
      expect(await readdir(path(folder, 'set-aside'))).toContainEqual(
        expect.stringMatching(file.replace('/', '_')),
      );
      expect(await runs(folder)).toBeUndefined();
    },
  );
});

it('a config that is sound though its journal is one step behind is no fault', async () => {
  const folder = await atWork();
  const old = (await folder.operational()) ?? expect.unreachable();
  await inRotation(folder);
  const [next, config, rotation] = [
    (await folder.nextIdentity()) ?? expect.unreachable(),
    (await folder.config()) ?? expect.unreachable(),
    (await folder.rotation()) ?? expect.unreachable(),
  ];
  const { publicKeyHash } = leaf(next);
  await folder.putConfig({
    ...config,
    next: { publicKeyHash, body: await reencrypted(config.body, old, next) },
  });
  await folder.putRotation({ ...rotation, step: 'config-sent' });
  // cut after the rename that brings the new key into force, before its form of the config
  await folder.putOperational(next);
  expect(await repair(folder)).toEqual([]);
  expect(await runs(folder)).toBeUndefined();
});

describe('what the factory put in', () => {
  it.each([
    ['bootstrap.key', write('bootstrap.key', ''), /^no private key: /],
    ['bootstrap.key', changed('bootstrap.key', (text) => text.slice(0, 80)), /^no private key: /],
    ['bootstrap.crt', cut('bootstrap.crt'), /^no certificate: /],
    ['bootstrap.crt', anothers('bootstrap.crt'), /^the certificate is for another key$/],
    ['trust.pem', cut('trust.pem'), /^no root: /],
    ['trust.pem', write('trust.pem', ''), /^no root: no certificate in PEM$/],
    ['bootstrap.json', write('bootstrap.json', '{"url":'), /^broken: /],
    [
      'bootstrap.json',
      (folder: DeviceFolder) => rm(path(folder, 'bootstrap.json')),
      /^missing; the factory puts it in$/,
    ],
  ] as const)('%s: repair says what people must do, and changes nothing', async (file, damage, reason) => {
    const folder = await atWork();
    const whole = await readFile(path(folder, file));
    await damage(folder);
    const before = await contents(folder);
    await expect(folder.factoryFiles()).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`/${file.replace('.', '\\.')}: ${reason.source.slice(1)}`)),
    });
    const told = await repair(folder, { apply: true });
    expect(told).toEqual([
      {
        file,
        reason: expect.stringMatching(reason),
        advice: expect.stringMatching(/^put it back as the factory wrote it/),
        done: false,
      },
    ]);
    expect(await contents(folder)).toEqual(before);
    await writeFile(path(folder, file), whole, { mode: 0o600 });
    expect(await repair(folder)).toEqual([]);
  });
});

describe('files in plain text, and who may read', () => {
  it('a config file that was changed or is gone is written again, as the config says', async () => {
    const folder = await atWork();
    const wifi = path(folder, 'config/wifi');
    await writeFile(wifi, 'wrong horse');
    expect(await repair(folder)).toMatchObject([
      { file: 'config/wifi', reason: 'it is not what the config says', done: false },
    ]);
    await repair(folder, { apply: true });
    expect(await readFile(wifi, 'utf8')).toBe(SECRET);
    await rm(wifi);
    expect(await repair(folder, { apply: true })).toMatchObject([{ reason: 'missing', done: true }]);
    expect(await readFile(wifi, 'utf8')).toBe(SECRET);
  });

  it('binary files, and files below folders, come and go byte by byte', async () => {
    const folder = await atWork();
    const { deviceId } = (await folder.bundle()) ?? expect.unreachable();
    const identity = (await folder.operational()) ?? expect.unreachable();
    const gateway = new GatewayClient((await folder.bundle()) ?? expect.unreachable());
    const handlers = { folder: join(folder.path, 'handlers'), deadlineMs: 1000 };
    const config = `/v1/accounts/acme/devices/${deviceId}/config`;
    const name = 'net/keys/seed';
    // both read as the same text
    for (const content of [Buffer.from([0xff, 0x00, 0xfe]), Buffer.from([0xfe, 0x00, 0xff])]) {
      const value = encryptConfigValue(leaf(identity).spkiDer, content);
      await env.operator.put(config, { files: [{ name, value }] });
      const applied = await applyConfig(folder, gateway, identity, { handlers, now: Date.now });
      expect(applied).toMatchObject({ changed: [name], failed: [] });
      expect(await readFile(path(folder, `config/${name}`))).toEqual(content);
      expect(await repair(folder)).toEqual([]);
    }
    await env.operator.post(`${config}/delete`, { names: [name] });
    const applied = await applyConfig(folder, gateway, identity, { handlers, now: Date.now });
    expect(applied).toMatchObject({ changed: [name] });
    await expect(readFile(path(folder, `config/${name}`))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('a value for a key that is gone keeps the device from nothing else: the others are applied, this one is named, it rotates', async () => {
    const folder = await atWork();
    const { deviceId } = (await folder.bundle()) ?? expect.unreachable();
    await rm(path(folder, 'operational.pem'));
    const identity = await onboard(folder);
    const app = { name: 'app', value: 'a = 1', unencrypted: true };
    await vi.waitFor(async () => {
      const gateway = new GatewayClient((await folder.bundle()) ?? expect.unreachable());
      await gateway.greet(identity);
      await env.operator.put(`/v1/accounts/acme/devices/${deviceId}/config`, { files: [app] });
    }, 20_000);
    const gateway = new GatewayClient((await folder.bundle()) ?? expect.unreachable());
    const handlers = { folder: join(folder.path, 'handlers'), deadlineMs: 1000 };
    const applied = await applyConfig(folder, gateway, identity, { handlers, now: Date.now });
    expect(applied).toMatchObject({ changed: ['app'], failed: ['wifi'] });
    expect(await readFile(path(folder, 'config/app'), 'utf8')).toBe('a = 1');
    expect(leaf(await rotate(folder)).serialNumber).not.toBe(leaf(identity).serialNumber);
  });

  it('a key that others may read, a bundle that others may write', async () => {
    const folder = await atWork();
    await chmod(path(folder, 'operational.pem'), 0o644);
    await chmod(path(folder, 'trust.pem'), 0o666);
    expect(await repair(folder, { apply: true })).toMatchObject([
      { file: 'trust.pem', reason: 'mode 0666: others may write it', done: true },
      { file: 'operational.pem', reason: 'mode 0644: others may read it', done: true },
    ]);
    expect((await stat(path(folder, 'operational.pem'))).mode & 0o777).toBe(0o600);
  });

  it('a file that the agent’s user may not read is named, and read again', async () => {
    const folder = await atWork();
    await using _nobody = await asNobody(folder);
    for (const [file, read] of [
      ['operational.pem', () => folder.operational()],
      ['config.json', () => folder.config()],
      ['bootstrap.key', () => folder.factoryFiles()],
    ] as const) {
      await chmod(path(folder, file), 0o000);
      await expect(read()).rejects.toMatchObject({
        ...{ code: 'broken-folder', message: `${path(folder, file)}: this user may not read it` },
      });
      expect(await repair(folder)).toEqual([
        {
          file,
          reason: 'mode 0000: this user may not read it',
          remedy: 'make it its owner’s alone (0600)',
          done: false,
        },
      ]);
      expect(await repair(folder, { apply: true })).toMatchObject([{ file, done: true }]);
      await read();
    }
  });
});

/** As a user for whom modes count, where the tests are run by root. */
async function asNobody({ path: folder }: DeviceFolder): Promise<AsyncDisposable> {
  if (process.geteuid?.() !== 0) return { [Symbol.asyncDispose]: async () => {} };
  const nobody = 65_534;
  for (const entry of await readdir(folder, { recursive: true }))
    await chown(join(folder, entry), nobody, nobody);
  await chown(folder, nobody, nobody);
  await chmod(dirname(folder), 0o711);
  process.seteuid?.(nobody);
  return { [Symbol.asyncDispose]: async () => process.seteuid?.(0) };
}

describe('signet-agent repair', () => {
  const agent = (folder: string, ...args: string[]) => {
    const main = join(import.meta.dirname, '..', 'src', 'main.ts');
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, '--folder', folder, ...args], {
      encoding: 'utf8',
    });
    return { status, out: stdout, err: stderr };
  };

  it('says it line by line, does it when told, and then finds nothing', async () => {
    const folder = await atWork();
    await cut('operational.pem')(folder);
    const failed = agent(folder.path, 'renew');
    expect(failed.status).toBe(1);
    expect(failed.err).toMatch(
      /^signet-agent: broken-folder: .*\/operational\.pem: no .*\n"signet-agent repair" says what can be done about it; nothing was changed\n$/,
    );
    const dry = agent(folder.path, 'repair');
    expect(dry.status).toBe(1);
    expect(dry.out).toMatch(
      /^operational\.pem: no .*\n {2}with --apply: set it aside; the agent goes back to bootstrap/,
    );
    const applied = agent(folder.path, 'repair', '--apply', '--json');
    expect(applied.status).toBe(0);
    expect(JSON.parse(applied.out)).toMatchObject([{ file: 'operational.pem', done: true }]);
    expect(agent(folder.path, 'repair')).toEqual({ status: 0, out: 'nothing is wrong\n', err: '' });
    expect(agent('/nowhere', 'repair').err).toBe(
      'signet-agent: not-a-device-folder: /nowhere: no such folder\n',
    );
    expect(await runs(folder)).toBeUndefined();
  });
});
