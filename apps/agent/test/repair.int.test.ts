import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { encryptConfigValue, generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
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
import { TestFactory } from './devices.ts';

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

const path = (folder: DeviceFolder, file: string) => join(folder.path, file);
const write = (file: string, text: string) => async (folder: DeviceFolder) => {
  await mkdir(join(path(folder, file), '..'), { recursive: true });
  await writeFile(path(folder, file), text, { mode: 0o600 });
};
const cut = (file: string) => async (folder: DeviceFolder) => {
  const text = await readFile(path(folder, file), 'utf8');
  await writeFile(path(folder, file), text.slice(0, text.length / 2));
};
const also =
  (first: (folder: DeviceFolder) => Promise<void>, then: (folder: DeviceFolder) => Promise<void>) =>
  async (folder: DeviceFolder) => {
    await first(folder);
    await then(folder);
  };
/** What another device has in this file. */
const anothers = (file: string) => async (folder: DeviceFolder) => {
  const other = await atWork();
  await writeFile(path(folder, file), await readFile(path(other, file)));
};
const changed = (file: string, change: (text: string) => string) => async (folder: DeviceFolder) =>
  writeFile(path(folder, file), change(await readFile(path(folder, file), 'utf8')));
const aFolder = (file: string) => async (folder: DeviceFolder) => {
  await rm(path(folder, file), { force: true });
  await mkdir(path(folder, file));
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

const BACK =
  /^set it aside; the agent goes back to bootstrap, with the identity of the factory, for a fresh grant/;
const AGAIN = /^set it aside; the config is fetched again, whole/;
const foreign = () =>
  encryptConfigValue(
    generateKeyPair('P-256').publicKey.export({ format: 'der', type: 'spki' }),
    Buffer.from('x'),
  );

type Case = {
  readonly what: string;
  readonly damage: (folder: DeviceFolder) => Promise<void>;
  /** How the agent fails on it; by default it runs into it. */
  readonly use?: (folder: DeviceFolder) => Promise<unknown>;
  readonly file: string;
  readonly reason: RegExp;
  readonly remedy: RegExp;
};

const mendable: Case[] = [
  {
    what: 'a bundle that is empty',
    file: 'bundle.json',
    damage: write('bundle.json', ''),
    reason: /^broken: /,
    remedy: BACK,
  },
  {
    what: 'a bundle that is cut',
    file: 'bundle.json',
    damage: cut('bundle.json'),
    reason: /^broken: /,
    remedy: BACK,
  },
  {
    what: 'another file as bundle',
    file: 'bundle.json',
    damage: write('bundle.json', '{"url":"https://x"}'),
    reason: /^broken: /,
    remedy: BACK,
  },
  {
    what: 'trust anchors that are none',
    file: 'bundle.json',
    damage: changed('bundle.json', (text) =>
      text.replace(/BEGIN CERTIFICATE-----\\n.{40}/, 'BEGIN CERTIFICATE-----\\n'),
    ),
    reason: /^trustAnchors: /,
    remedy: BACK,
  },
  {
    what: 'an identity that is empty',
    file: 'operational.pem',
    damage: write('operational.pem', ''),
    reason: /^no private key: /,
    remedy: BACK,
  },
  {
    what: 'an identity that is cut',
    file: 'operational.pem',
    damage: cut('operational.pem'),
    reason: /^no (private key|certificate): /,
    remedy: BACK,
  },
  {
    what: 'an identity of another device',
    file: 'operational.pem',
    damage: anothers('operational.pem'),
    reason: /^the certificate is of acme\/repair-\d+, the bundle of acme\/repair-\d+$/,
    remedy: BACK,
  },
  {
    what: 'a certificate of another key',
    file: 'operational.pem',
    damage: changed('operational.pem', (text) =>
      text.replace(
        /^[\s\S]*?(?=-----BEGIN CERT)/,
        String(generateKeyPair('P-256').privateKey.export({ format: 'pem', type: 'pkcs8' })),
      ),
    ),
    reason: /^the certificate is for another key$/,
    remedy: BACK,
  },
  {
    what: 'a folder as identity',
    file: 'operational.pem',
    damage: aFolder('operational.pem'),
    reason: /^a folder lies in its place$/,
    remedy: BACK,
  },
  {
    what: 'an identity that is cut, the next one at hand',
    file: 'operational.pem',
    damage: also(inRotation, cut('operational.pem')),
    reason: /^no (private key|certificate): /,
    remedy: /^set it aside; the identity that the rotation has brought \(next\.pem\) comes into force$/,
  },
  {
    what: 'a next identity that is cut',
    file: 'next.pem',
    damage: also(inRotation, cut('next.pem')),
    use: rotate,
    reason: /^no (private key|certificate): /,
    remedy: /^set it aside; the rotation begins again/,
  },
  {
    what: 'a next identity of another device',
    file: 'next.pem',
    damage: also(inRotation, async (folder) => {
      const other = await atWork();
      await inRotation(other);
      await writeFile(path(folder, 'next.pem'), await readFile(path(other, 'next.pem')));
    }),
    use: rotate,
    reason: /^the certificate is of acme\//,
    remedy: /^set it aside; the rotation begins again/,
  },
  {
    what: 'a journal of a next identity that is gone',
    file: 'rotation.json',
    damage: also(inRotation, (folder) => rm(path(folder, 'next.pem'))),
    use: rotate,
    reason: /^it is at step "enrolled", and next\.pem is gone$/,
    remedy: /^set it aside; what it had brought is dropped, the key in force stays/,
  },
  {
    what: 'a journal of another key than the next identity',
    file: 'rotation.json',
    damage: also(
      inRotation,
      changed('rotation.json', (text) => text.replace(/"publicKeyHash":".{4}/, '"publicKeyHash":"0000')),
    ),
    use: rotate,
    reason: /^it is at step "enrolled", and next\.pem is for another key$/,
    remedy: /^set it aside; what it had brought is dropped/,
  },
  {
    what: 'a journal that is cut',
    file: 'rotation.json',
    damage: also(inRotation, cut('rotation.json')),
    use: rotate,
    reason: /^broken: /,
    remedy: /^set it aside; what it had brought is dropped/,
  },
  {
    what: 'a pending key that is none',
    file: 'pending.key',
    damage: write('pending.key', 'garbage'),
    use: (folder) => folder.pendingKey(),
    reason: /^no private key: /,
    remedy: /^set it aside; the enrolment begins again/,
  },
  {
    what: 'a config that is empty',
    file: 'config.json',
    damage: write('config.json', ''),
    reason: /^broken: /,
    remedy: AGAIN,
  },
  {
    what: 'a config that is cut',
    file: 'config.json',
    damage: cut('config.json'),
    reason: /^broken: /,
    remedy: AGAIN,
  },
  {
    what: 'a config for another key',
    file: 'config.json',
    damage: changed('config.json', (text) => text.replace(/"Value":"[^"]+"/, () => `"Value":"${foreign()}"`)),
    use: async (folder) => {
      const found = await repair(folder);
      if (found.length > 0)
        throw new AgentError('broken-folder', `${folder.path}/config.json: ${found[0]?.reason}`);
    },
    reason: /^wifi: value: it is for another key, or was changed$/,
    remedy: AGAIN,
  },
  {
    what: 'a file of software that is cut',
    file: 'updates/state.json',
    damage: write('updates/state.json', '{"pump":'),
    reason: /^broken: /,
    remedy: /^set it aside; software that its config names is fetched/,
    use: async (folder) => (await import('../src/updates/update-state.ts')).stateOf(folder, 'pump'),
  },
  {
    what: 'a memory of commands that is empty',
    file: 'commands.json',
    damage: write('commands.json', ''),
    reason: /^broken: /,
    remedy: /^set it aside; commands that were given before now are refused/,
    use: async (folder) => (await import('../src/commands/seen-commands.ts')).readSeenCommands(folder),
  },
  {
    what: 'a clock’s floor that is none',
    file: 'clock.json',
    damage: write('clock.json', '{"floor":"soon"}'),
    reason: /^broken: /,
    remedy: /^set it aside; the clock/,
    use: (folder) => folder.clockFloor(),
  },
];

describe('a device folder that is damaged', () => {
  it.each(mendable)(
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
