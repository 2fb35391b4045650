import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DeviceFolder, onboard, openMqttSession } from '@signet/agent';
import type { Bundle } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { agreeWith, decryptConfigValue } from '@signet/pki';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Done, Terminal } from './signet.ts';

/** Every command is a process of its own. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const run = promisify(execFile);
let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

const at = (...parts: string[]) => join(terminal.folder, ...parts);

/** What a command that went well said. */
async function signet(...args: string[]): Promise<string> {
  const { code, out, err } = await terminal.signet(...args);
  expect([code, err]).toEqual([0, '']);
  return out;
}
const lines = <T>(out: string): T[] =>
  out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
const fails = async (...args: string[]): Promise<Done> => {
  const done = await terminal.signet(...args);
  expect(done.code).toBe(1);
  return done;
};

async function claimed(id: string): Promise<string> {
  const [made] = lines<{ fingerprint: string }>(await signet('factory', 'sign', '--new', id, '--json'));
  await signet('devices', 'claim', made?.fingerprint ?? '');
  return made?.fingerprint ?? '';
}

describe('F16–F19: a device gets its bundle over MQTT', () => {
  const connected = async (id: string, password: string) => {
    const identity = {
      cert: await readFile(at(id, 'bootstrap.crt'), 'utf8'),
      key: await readFile(at(id, 'bootstrap.key'), 'utf8'),
    };
    return connectAsync(`mqtts://localhost:${env.ports.mqttProvisioning}`, {
      ...{ ...identity, ca: await readFile(at(id, 'trust.pem'), 'utf8'), reconnectPeriod: 0 },
      ...{ clientId: id, username: 'preseeded', password },
    });
  };

  it('F17, F18: without a request, or with a wrong password, no config, and BOOTSTRAP_REFUSED says why; with both, the bundle', async () => {
    const fingerprint = await claimed('m-1');
    await expect(connected('m-1', 'whatever')).rejects.toMatchObject({ code: 4 });
    const unmatched = await env.events.find(
      'BOOTSTRAP_REFUSED',
      ({ data }) => data.fingerprint === fingerprint,
    );
    expect(unmatched.data).toMatchObject({
      listener: 'mqtt-provisioning',
      code: 'unknown-device',
      message: 'clientId: no provisioning request waits for "m-1"',
    });
    await writeFile(at('use-case.json'), '{"interval":60}');
    const [made] = lines<{ requestId: string; password: string }>(
      await signet(
        ...['provisioning', 'create', 'm-1', '--username', 'preseeded'],
        ...['--config', 'use-case.json=use-case.json', '--json'],
      ),
    );
    const { requestId = '', password = '' } = made ?? {};
    await expect(connected('m-1', 'wrong')).rejects.toMatchObject({ code: 4 });
    const client = await connected('m-1', password);
    const answer = new Promise<Bundle>((resolve) =>
      client.once('message', (_, payload) => resolve(JSON.parse(payload.toString()) as Bundle)),
    );
    await client.subscribeAsync('$signet/m-1/provisioning/reply', { qos: 1 });
    await client.publishAsync('$signet/m-1/provisioning/request', '{}', { qos: 1 });
    const bundle = await answer;
    expect(bundle).toMatchObject({
      ...{ account: 'acme', deviceId: 'm-1', config: { 'use-case.json': '{"interval":60}' } },
      est: { grant: expect.stringMatching(/.{16,}/) },
      mqtt: { url: `mqtts://localhost:${env.ports.mqtt}` },
    });
    await client.endAsync();
    const shown = await signet('provisioning', 'show', requestId);
    expect(shown).toMatch(/^state +RUNNING$/m);
    expect(shown).toMatch(/^failed attempts +1 of 10$/m);

    const identity = await onboard(new DeviceFolder(at('m-1')));
    await using _session = await openMqttSession(bundle, identity);
    await env.events.find('DEVICE_PROVISIONED', ({ subject }) => subject === 'm-1');
    expect(await signet('provisioning', 'list', '--device', 'm-1')).toMatch(/COMPLETED/);
    expect((await fails('provisioning', 'stop', requestId)).err).toBe(
      'signet: illegal-transition: state: a provisioning request cannot go from COMPLETED to STOPPED\n',
    );
  });

  it('an activation key is shown once; a request is stopped', async () => {
    await claimed('m-2');
    const out = await signet('provisioning', 'create', 'm-2', '--until', '2099-01-01T00:00:00Z');
    const [, id = ''] = /^m-2: request (\S+), open until 2099-/.exec(out) ?? [];
    expect(out).toMatch(/^activation key, shown this once: ([A-Z2-9]{4}-){7}[A-Z2-9]{4}$/m);
    expect((await fails('provisioning', 'create', 'm-2')).err).toMatch(
      /^signet: request-exists: deviceId: "m-2"/,
    );
    expect(await signet('provisioning', 'stop', id, '--reason', 'lost')).toBe('m-2: STOPPED\n');
    expect(await signet('provisioning', 'list', '--state', 'stopped')).toMatch(/lost/);
  });
});

describe('F31–F42: a device that is ordered to rotate, with openssl and curl as its EST client', () => {
  type Reached = { status: number; body: string };

  const curl = async (identity: string, url: string, ...args: string[]): Promise<Reached> => {
    const { stdout } = await run('curl', [
      ...['-sS', '--cacert', at('r-1', 'trust.pem'), '--cert', at(`${identity}.crt`)],
      ...['--key', at(`${identity}.key`), '-w', '\n%{http_code}', ...args, url],
    ]);
    const end = stdout.lastIndexOf('\n');
    return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
  };
  const gateway = (identity: string, path: string, ...args: string[]) =>
    curl(identity, `https://localhost:${env.ports.gateway}${path}`, ...args);

  /** A plain EST client: a new key, the Subject of its certificate copied, one POST. */
  async function reenroll(from: string, to: string): Promise<Reached> {
    await run('openssl', [
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      at(`${to}.key`),
    ]);
    const { stdout } = await run('openssl', [
      ...['x509', '-x509toreq', '-in', at(`${from}.crt`), '-signkey', at(`${to}.key`)],
    ]);
    const [, base64 = ''] = /-----BEGIN CERTIFICATE REQUEST-----\n([^-]+)/.exec(stdout) ?? [];
    await writeFile(at(`${to}.b64`), base64);
    const answer = await curl(
      from,
      `https://localhost:${env.ports.est}/.well-known/est/simplereenroll`,
      ...['-H', 'content-type: application/pkcs10', '--data-binary', `@${at(`${to}.b64`)}`],
    );
    if (answer.status !== 200) return answer;
    const p7 = `-----BEGIN PKCS7-----\n${answer.body.trim()}\n-----END PKCS7-----\n`;
    await writeFile(at(`${to}.p7`), p7);
    await run('openssl', ['pkcs7', '-in', at(`${to}.p7`), '-print_certs', '-out', at(`${to}.crt`)]);
    return answer;
  }

  it('goes through: ordered by the command line, announced, locked, config re-encrypted, promoted over MQTT, the old one shut out', async () => {
    await claimed('r-1');
    const folder = new DeviceFolder(at('r-1'));
    const identity = await onboard(folder);
    const bundle = (await folder.bundle()) ?? expect.unreachable();
    await writeFile(at('old.crt'), identity.certificate);
    await writeFile(at('old.key'), identity.key);

    await writeFile(at('wifi'), 'correct horse');
    await vi.waitFor(
      async () =>
        expect(await signet('devices', 'config', 'set', 'r-1', 'wifi=wifi')).toBe('config is version 1\n'),
      10_000,
    );
    const config = JSON.parse((await gateway('old', '/config')).body) as Record<string, { Value: string }>;
    const read = async (key: string, value = '') =>
      Buffer.from(await decryptConfigValue(agreeWith(createPrivateKey(key)), value)).toString();
    expect(await read(identity.key, config.wifi?.Value)).toBe('correct horse');

    const binary = Buffer.from([0xff, 0x00, 0xfe, 0x62]);
    await writeFile(at('binary'), binary);
    expect((await fails('devices', 'config', 'set', 'r-1', 'net/seed=binary', '--plain')).err).toBe(
      'signet: net/seed: not UTF-8 text, so it cannot be stored in plain text; encrypt it, or encode it first\n',
    );
    await signet('devices', 'config', 'set', 'r-1', 'net/seed=binary');
    const held = JSON.parse((await gateway('old', '/config')).body) as Record<string, { Value: string }>;
    const sealed = held['net/seed']?.Value ?? '';
    expect(Buffer.from(await decryptConfigValue(agreeWith(createPrivateKey(identity.key)), sealed))).toEqual(
      binary,
    );
    await signet('devices', 'config', 'delete', 'r-1', 'net/seed');

    const started = await signet('rotate', 'start', 'r-1', '--json');
    const [{ campaignId, rotationId } = { campaignId: '', rotationId: '' }] = lines<{
      campaignId: string;
      rotationId: string;
    }>(started);
    await vi.waitFor(async () => {
      const { body } = await gateway('old', '/config');
      expect(body).toContain(`ROTATIONID=${rotationId}`);
      expect(body).toContain(`ESTSERVER=https://localhost:${env.ports.est}/.well-known/est`);
    }, 10_000);
    expect(await signet('rotate', 'status', campaignId)).toMatch(
      /^state +RUNNING: 0 of 1 done, 1 ordered, 0 waiting$/m,
    );

    expect((await reenroll('old', 'lost')).status).toBe(200);
    expect((await reenroll('old', 'new')).status).toBe(200);
    const locked = await fails('devices', 'config', 'set', 'r-1', 'wifi=wifi');
    expect(locked.err).toBe(
      `signet: rotation-in-progress: config: locked by rotation ${rotationId} until the device is seen with its new key\n`,
    );
    const { stdout: next } = await run('openssl', ['pkey', '-in', at('new.key'), '-pubout']);
    const confirm = await gateway(
      'old',
      '/device',
      ...['-X', 'PATCH', '-H', 'content-type: application/json', '-d', JSON.stringify({ next_pubkey: next })],
    );
    expect(confirm.status).toBe(200);
    expect(await signet('rotate', 'status')).toMatch(
      new RegExp(`r-1[ │]+${rotationId}[ │]+\\S+[ │]+confirmed`),
    );
    const fresh = {
      key: await readFile(at('new.key'), 'utf8'),
      certificate: await readFile(at('new.crt'), 'utf8'),
    };
    const session = await openMqttSession(bundle, fresh);
    const change = await env.events.find('DEVICE_PUBKEY_CHANGE', ({ subject }) => subject === 'r-1');
    expect(change.data).toMatchObject({ rotationId, NewPubKey: next });
    const shutOut = ['old', 'lost'];
    for (const name of shutOut) {
      await vi.waitFor(async () => expect((await gateway(name, '/config')).status).toBe(403), 10_000);
      expect((await reenroll(name, `${name}-again`)).status).toBe(403);
      const former = {
        key: await readFile(at(`${name}.key`), 'utf8'),
        certificate: await readFile(at(`${name}.crt`), 'utf8'),
      };
      await vi.waitFor(
        () => expect(openMqttSession(bundle, former)).rejects.toMatchObject({ code: 'refused' }),
        10_000,
      );
    }
    await session[Symbol.asyncDispose]();

    // the word of the old certificate, which may come late
    const report = {
      id: '0b0ed9ab-6d2c-4d5e-8b57-9d9f2d0e1a01',
      deviceTime: '2026-03-01T12:00:00Z',
      event: { correlationId: rotationId, success: true, targetName: 'renewal', version: '1' },
      eventType: { id: 'CertRotationCompleted', version: 0 },
    };
    const late = ['-H', 'content-type: application/json', '-d', JSON.stringify([report])];
    expect((await gateway('old', '/events', ...late)).status).toBe(200);
    expect((await gateway('lost', '/events', ...late)).status).toBe(403);
    expect(await signet('devices', 'updates', 'r-1')).toMatch(rotationId);
    expect(await signet('devices', 'updates', 'r-1', rotationId)).toMatch(
      /^\S+Z CertRotationCompleted\(renewal\) -> Succeed\n$/,
    );
    await vi.waitFor(
      async () => expect(await signet('rotate', 'status', campaignId)).toMatch(/COMPLETED: 1 of 1 done/),
      20_000,
    );

    expect(await signet('devices', 'config', 'set', 'r-1', 'wifi=wifi')).toMatch(/^config is version \d+\n$/);
    const after = JSON.parse((await gateway('new', '/config')).body) as Record<string, { Value: string }>;
    expect(await read(fresh.key, after.wifi?.Value)).toBe('correct horse');
  });

  it('config of groups and the account, with its log; groups by labels', async () => {
    await claimed('g-1');
    await signet('groups', 'create', 'hall-3', '--labels', 'site=hall-3');
    expect(await signet('groups', 'label', 'g-1', 'site=hall-3')).toBe('site=hall-3\ngroups: hall-3\n');
    expect(await signet('groups', 'devices', 'hall-3')).toMatch(/g-1/);
    await writeFile(at('app.toml'), 'a = 1\n');
    expect(
      await signet('devices', 'config', 'set', '--group', 'hall-3', 'app.toml=app.toml', '--plain'),
    ).toBe('config is version 1\n');
    const encrypted = await fails('devices', 'config', 'set', '--whole-account', 'app.toml=app.toml');
    expect(encrypted.err).toMatch(/^signet: several devices read this layer/);
    expect(await signet('devices', 'config', 'get', 'g-1', 'app.toml')).toBe('a = 1\n');
    expect(await signet('devices', 'config', 'get', 'g-1')).toMatch(
      /app\.toml[ │]+group hall-3[ │]+6[ │]+no/,
    );
    await signet('devices', 'config', 'delete', '--group', 'hall-3', 'app.toml', '--reason', 'old');
    expect(await signet('devices', 'config', 'log', '--group', 'hall-3')).toMatch(
      /group hall-3[ │]+app\.toml[ │]+old/,
    );
    expect(await signet('groups', 'label', 'g-1', 'site-')).toBe('groups: none\n');
    expect(await signet('groups', 'list')).toMatch(/hall-3[ │]+0[ │]+site=hall-3/);
    expect(await signet('groups', 'remove', 'hall-3')).toBe('group hall-3 is removed\n');
    expect((await fails('groups', 'devices', 'hall-3')).err).toMatch(/^signet: unknown-group: /);
  });

  it('what the command line cannot make sense of is one line', async () => {
    expect((await fails('devices', 'config', 'set', 'g-1')).err).toMatch(/^signet: name the files to write/);
    expect((await fails('rotate', 'start')).err).toMatch(
      /^signet: invalid-input: deviceIds: name devices, or a group/,
    );
    expect((await fails('rotate', 'cancel')).err).toMatch(/^signet: name a campaign, or a device/);
    expect((await fails('rotate', 'cancel', '--device', 'g-1')).err).toMatch(/^signet: no-rotation: /);
    expect((await fails('devices', 'updates', 'g-1', 'certs-1')).err).toBe(
      'signet: g-1 reported nothing of "certs-1"\n',
    );
    expect((await fails('groups', 'label', 'g-1', 'nonsense')).err).toMatch(
      /^signet: "nonsense": use name=value/,
    );
  });
});
