import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { DeviceFolder, onboard, openMqttSession } from '@signet/agent';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { serve } from './answers.ts';
import { type Done, Terminal } from './signet.ts';

const signetMain = join(import.meta.dirname, '..', 'src', 'main.ts');

/** Every command is a process of its own. */
vi.setConfig({ testTimeout: 180_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

/** The JSON lines of a command that went well. */
function lines<T>({ code, out, err }: Done): T[] {
  expect(err).toBe('');
  expect(code).toBe(0);
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
}

type Device = { deviceId: string; fingerprint: string; state: string; group?: string };

async function makeDevice(id: string): Promise<Device> {
  const [signed] = lines<Device>(await terminal.signet('factory', 'sign', '--new', id, '--json'));
  return signed ?? expect.unreachable();
}

describe('settings', () => {
  it('are looked for in flags, environment, config file, then beside npm start’s data', async () => {
    await using own = await Terminal.open();
    const tell = (...args: string[]) => own.signet('devices', 'list', '--json', ...args);
    const none = await tell();
    expect(none.code).toBe(1);
    expect(none.err).toMatch(
      /^signet: no API token: give --token, SIGNET_TOKEN, "token" in .*config\.json, or run in the folder with/,
    );

    await mkdir(join(own.folder, 'data'));
    await writeFile(join(own.folder, 'data', 'admin-token'), `${env.operator.token}\n`);
    expect((await tell('--url', env.operator.url)).code).toBe(0);

    expect((await own.signet('config', 'set', 'url', env.operator.url)).code).toBe(0);
    expect((await own.signet('config', 'set', 'account', 'globex')).code).toBe(0);
    const file = join(own.env.XDG_CONFIG_HOME ?? '', 'signet', 'config.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ url: env.operator.url, account: 'globex' });
    expect((await tell()).code).toBe(0);

    expect((await own.signet('config', 'set', 'token', 'sgn_wrong')).code).toBe(0);
    expect((await tell()).err).toMatch(/^signet: unauthenticated: /);
    const byEnvironment = { SIGNET_TOKEN: env.operator.token };
    expect((await own.signetWith(byEnvironment, 'devices', 'list', '--json')).code).toBe(0);
    const byFlag = await own.signetWith(byEnvironment, 'devices', 'list', '--token', 'sgn_wrong', '--json');
    expect(byFlag).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: unauthenticated: /) });
  });

  it('a broken config file is named', async () => {
    await using own = await Terminal.open();
    const folder = join(own.env.XDG_CONFIG_HOME ?? '', 'signet');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'config.json'), '{"url":');
    const done = await own.signet('status');
    expect(done.code).toBe(1);
    expect(done.err).toMatch(/^signet: .*config\.json: /);
  });

  it('a setting that there is not, or that is no URL, is refused', async () => {
    expect((await terminal.signet('config', 'set', 'colour', 'blue')).code).toBe(1);
    const done = await terminal.signet('config', 'set', 'url', 'nowhere');
    expect(done).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: url: /) });
  });
});

it('says in one line that nothing answers, and exits 1', async () => {
  const done = await terminal.signet('--url', 'http://127.0.0.1:9', 'status');
  expect(done.code).toBe(1);
  expect(done.err).toMatch(/^signet: http:\/\/127\.0\.0\.1:9: .*; is Signet running\?\n$/);
});

describe('the factory', () => {
  it('F3: signs for a new device and writes its folder; what stands there is what the agent needs', async () => {
    const done = await terminal.signet(
      'factory',
      'sign',
      '--new',
      'new-1',
      '--model',
      'P200',
      '--out',
      'dev/new-1',
    );
    expect(done.code).toBe(0);
    expect(done.out).toMatch(/^device +new-1\nfingerprint +[0-9a-f]{64}\n/);
    expect(done.out).toMatch(/^next +signet devices claim [0-9a-f]{64}$/m);
    expect((await readdir(join(terminal.folder, 'dev/new-1'))).sort()).toEqual([
      'bootstrap.crt',
      'bootstrap.json',
      'bootstrap.key',
      'trust.pem',
    ]);
  });

  it('F3: signs a request that openssl made', async () => {
    const run = promisify(execFile);
    const at = (name: string) => join(terminal.folder, name);
    await run('openssl', [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', at('o.key'), '-out', at('o.csr'), '-subj', '/CN=by-openssl'],
    ]);
    const done = await terminal.signet(
      'factory',
      'sign',
      '--csr',
      'o.csr',
      '--serial',
      'SN-9',
      '--out',
      'o.crt',
      '--json',
    );
    expect(lines(done)).toMatchObject([
      { deviceId: 'by-openssl', fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    const { stdout } = await run('openssl', ['x509', '-in', at('o.crt'), '-noout', '-pubkey']);
    const { stdout: own } = await run('openssl', ['pkey', '-in', at('o.key'), '-pubout']);
    expect(stdout).toBe(own);
  });

  it('refuses what it cannot sign, with the code', async () => {
    await writeFile(join(terminal.folder, 'bad.csr'), 'no request at all');
    const done = await terminal.signet('factory', 'sign', '--csr', 'bad.csr');
    expect(done.code).toBe(1);
    expect(done.err).toMatch(/^signet: [a-z-]+: /);
    const both = await terminal.signet('factory', 'sign', '--csr', 'bad.csr', '--new', 'x');
    expect(both).toMatchObject({ code: 1, err: 'signet: give either --csr <file> or --new <id>\n' });
    const missing = await terminal.signet('factory', 'sign', '--csr', 'nowhere.csr');
    expect(missing).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: nowhere\.csr: /) });
  });

  it('F8: makes a batch of 300 in two calls, and the log has every one, call after call', async () => {
    const [made] = lines<{ made: number; before: number; failed: unknown[] }>(
      await terminal.signet('factory', 'batch', 'b-0001..b-0300', '--make-keys', '--out', 'batch', '--json'),
    );
    expect(made).toEqual({ made: 300, before: 0, failed: [] });
    expect(await readdir(join(terminal.folder, 'batch'))).toHaveLength(301);
    const log = lines<Device>(await terminal.signet('factory', 'log', '--json'));
    const ids = log.map(({ deviceId }) => deviceId).filter((id) => id.startsWith('b-'));
    const all = Array.from({ length: 300 }, (_, i) => `b-${String(i + 1).padStart(4, '0')}`);
    expect(ids.slice(0, 256).sort()).toEqual(all.slice(0, 256));
    expect(ids.slice(256).sort()).toEqual(all.slice(256));
  });
});

describe('devices', () => {
  it('are claimed, listed by state and group, shown, blocked and unblocked', async () => {
    const { fingerprint } = await makeDevice('c-1');
    expect(await terminal.signet('devices', 'claim', fingerprint, '--group', 'hall-3')).toMatchObject({
      code: 0,
      out: 'acme/c-1 is claimed\n',
    });
    const inGroup = async (group: string) =>
      lines<Device>(
        await terminal.signet('devices', 'list', '--group', group, '--state', 'claimed', '--json'),
      ).map(({ deviceId }) => deviceId);
    expect(await inGroup('hall-3')).toEqual(['c-1']);
    const table = (await terminal.signet('devices', 'list', '--group', 'hall-3')).out.split('\n');
    expect(table[0]).toMatch(/^ ?device[ │]+state[ │]+group[ │]+model[ │]+claimed[ │]+fingerprint/);
    expect(table[1]).toMatch(/^ ?c-1[ │]+claimed[ │]+hall-3/);
    // groups are one thing, whichever command asks: by labels too
    await terminal.signet('groups', 'create', 'pumps', '--labels', 'kind=pump');
    await terminal.signet('groups', 'label', 'c-1', 'kind=pump');
    expect(await inGroup('pumps')).toEqual(['c-1']);
    await terminal.signet('groups', 'label', 'c-1', 'kind-');
    expect(await inGroup('pumps')).toEqual([]);
    expect(await terminal.signet('devices', 'block', 'c-1', '--reason', 'stolen')).toMatchObject({
      code: 0,
      out: 'c-1 is blocked\n',
    });
    const shown = await terminal.signet('devices', 'show', 'c-1');
    expect(shown.out).toMatch(/^device +acme\/c-1\nstate +blocked \(stolen\)\ngroup +hall-3\n/);
    expect(await terminal.signet('devices', 'unblock', 'c-1')).toMatchObject({
      code: 0,
      out: 'c-1 is unblocked\n',
    });
    expect(
      lines<{ device: Device }>(await terminal.signet('devices', 'show', 'c-1', '--json')),
    ).toMatchObject([{ device: { deviceId: 'c-1', state: 'claimed' } }]);
  });

  it('a refusal of the platform is one line with its code, and exit code 1', async () => {
    const unknown = await terminal.signet('devices', 'claim', 'ab'.repeat(32));
    expect(unknown).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: unknown-device: .*\n$/) });
    const wrong = await terminal.signet('devices', 'claim', 'xyz');
    expect(wrong).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^signet: bad-claim-code: code: .*not 20\n$/),
    });
    const nobody = await terminal.signet('devices', 'revoke');
    expect(nobody).toMatchObject({
      code: 1,
      err: 'signet: name devices, or give --fingerprint or --group\n',
    });
    const missing = await terminal.signet('devices', 'block', 'no-such-device');
    expect(missing.code).toBe(1);
    expect(missing.err + missing.out).toMatch(/unknown-device/);
  });

  it('a group without devices is revoked in an instant: one line says so, and the command ends', async () => {
    expect(await terminal.signet('devices', 'revoke', '--group', 'nobody-is-in-it')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^signet: unknown-group: group: .*\n$/),
    });
  });

  it('what a person mistypes is answered in one line, never with a stack trace', async () => {
    expect(await terminal.signet('crl-sources', 'upload', 'maker', 'no-such.crl')).toMatchObject({
      code: 1,
      err: 'signet: no-such.crl: no such file or folder\n',
    });
    const issuer = ['--issuer', 'no-such.pem', '--crl-url', 'http://crl.example/a.crl'];
    expect(await terminal.signet('crl-sources', 'add', 'maker', ...issuer)).toMatchObject({
      code: 1,
      err: 'signet: no-such.pem: no such file or folder\n',
    });
    for (const words of [
      ['rotate', 'start', '--expires-before', 'tomorrow'],
      ['tokens', 'create', 'line-1', '--role', 'factory', '--until', 'tomorrow'],
    ]) {
      const wrong = await terminal.signet(...words);
      expect(wrong.code).toBe(1);
      expect(wrong.err).toMatch(
        /^signet: option '--\S+ <time>' argument 'tomorrow' is invalid\. expected a time/,
      );
    }
    expect(await terminal.signet('--version')).toMatchObject({ code: 0, out: '0.1.0\n' });
  });

  it('help is for any command, and a word that is none is named, with the nearest one', async () => {
    const help = await terminal.signet('help', 'devices', 'list');
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toMatch(/^Usage: signet devices list \[options\]/);
    expect((await terminal.signet('help')).out).toMatch(/^Usage: signet \[options\] \[command\]/);
    for (const [words, said] of [
      [['devises'], "signet: unknown command 'devises' (Did you mean devices?)\n"],
      [['devices', 'lst'], "signet: unknown command 'lst' (Did you mean list?)\n"],
      [['help', 'devices', 'lst'], "signet: unknown command 'lst' (Did you mean list?)\n"],
      [['help', 'devises'], "signet: unknown command 'devises' (Did you mean devices?)\n"],
      [['devices', 'list', '--grop', 'x'], "signet: unknown option '--grop' (Did you mean --group?)\n"],
    ] as const)
      expect(await terminal.signet(...words), words.join(' ')).toMatchObject({ code: 1, err: said });
  });

  it('a reader that reads no more is no error, and what it did not see is not acknowledged', async () => {
    await terminal.signet('queues', 'create', 'piped', '--pull', '--types', 'DEVICE_CLAIMED');
    await terminal.signet('devices', 'claim', (await makeDevice('piped-1')).fingerprint);
    await vi.waitFor(async () => expect(await pending()).toBe(1), { timeout: 30_000, interval: 250 });
    // the reader is gone before the first line
    const command = `exec 3>&1; { sleep 0; "$@"; echo $? >&3; } | true`;
    const args = ['-c', command, 'sh', process.execPath, signetMain, 'queues', 'pull', 'piped'];
    const { out, err } = await terminal.execute('sh', args, terminal.env);
    expect({ out, err }).toEqual({ out: '141\n', err: '' });
    expect(await pending()).toBe(1);

    async function pending(): Promise<number> {
      return JSON.parse((await terminal.signet('queues', 'show', 'piped', '--json')).out).pending;
    }
  });

  it('Ctrl-C ends a long poll at once', async () => {
    const asked = Promise.withResolvers<void>();
    await using silent = await serve(() => asked.resolve());
    const args = ['queues', 'pull', 'idle', '--wait', '60', '--url', silent.url];
    const child = spawn(process.execPath, [signetMain, ...args], {
      env: terminal.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    await asked.promise;
    const closed = once(child, 'close');
    child.kill('SIGINT');
    const [code] = await closed;
    expect([code, ...(await said)]).toEqual([130, '', '']);
  });

  it('F50: a revoked device’s session is cut, and the milliseconds to the cut are told', async () => {
    const { fingerprint } = await makeDevice('r-1');
    await terminal.signet('devices', 'claim', fingerprint);
    const folder = new DeviceFolder(join(terminal.folder, 'r-1'));
    const identity = await onboard(folder);
    const bundle = (await folder.bundle()) ?? expect.unreachable();
    await using session = await openMqttSession(bundle, identity);
    await env.events.find('DEVICE_CONNECTED', ({ subject }) => subject === 'r-1');
    const done = await terminal.signet('devices', 'revoke', 'r-1');
    await session.ended;
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toMatch(/^r-1 is revoked\nr-1: session cut after \d+ ms\n$/);
    await expect(openMqttSession(bundle, identity)).rejects.toMatchObject({ code: 'refused' });
    const shown = await terminal.signet('devices', 'show', 'r-1');
    expect(shown.out).toMatch(/^state +retired/m);
  });
});

describe('the rest', () => {
  it('tails events, so many and of these types', async () => {
    const { fingerprint } = await makeDevice('t-1');
    await terminal.signet('devices', 'claim', fingerprint);
    const events = lines<{ type: string; subject: string }>(
      await terminal.signet(
        'events',
        'tail',
        '--from',
        'start',
        '--types',
        'DEVICE_CLAIMED',
        '--count',
        '2',
        '--json',
      ),
    );
    expect(events).toHaveLength(2);
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['DEVICE_CLAIMED']));
    const one = await terminal.signet('events', 'tail', '--from', 'start', '--count', '1');
    expect(one.out).toMatch(/^\S+Z [A-Z_]+ \S+\/\S+ \{.*\}\n$/);
    const wrong = await terminal.signet('events', 'tail', '--types', 'NONSENSE');
    expect(wrong).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: invalid-input: types: /) });
  });

  it('says whether the platform is ready, check by check', async () => {
    expect(lines(await terminal.signet('status', '--json'))).toMatchObject([{ ready: true }]);
    const { out } = await terminal.signet('status');
    expect(out).toMatch(/^ready\n ?check[ │]+state[ │]+why/);
    expect((await terminal.signet('authorities')).out).toMatch(/root/);
  });

  it('makes a token, uses it, revokes it', async () => {
    const [made] = lines<{ id: string; token: string }>(
      await terminal.signet('tokens', 'create', 'station', '--role', 'factory', '--for', 'acme', '--json'),
    );
    const { id = '', token = '' } = made ?? {};
    expect((await terminal.signet('--token', token, 'factory', 'log', '--json')).code).toBe(0);
    expect((await terminal.signet('--token', token, 'devices', 'list')).err).toMatch(
      /^signet: forbidden: token "station" has no role that gives devices:read in account "acme"/,
    );
    expect((await terminal.signet('tokens', 'list')).out).toMatch(/station[ │]+factory@acme/);
    expect((await terminal.signet('tokens', 'revoke', id)).out).toBe(`${id} is revoked\n`);
    expect((await terminal.signet('--token', token, 'factory', 'log')).err).toMatch(
      /^signet: unauthenticated: /,
    );
  });
});
