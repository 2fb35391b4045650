import { request } from 'node:https';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { Ticks } from '@signet/service';
import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type MadeDevice, onboardDevice } from '../attacks/device.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const WITHIN = { timeout: 60_000, interval: 200 };
const DAY = 86_400_000;
const pki = createTestPki();

const stack = new AsyncDisposableStack();
const ticks = new Ticks();
let ahead = 0;
let env: DevEnv;
let roots: string;
let target: Parameters<typeof onboardDevice>[0];
beforeAll(async () => {
  env = stack.use(
    await startDevEnv({
      ...{ ticks, now: () => Date.now() + ahead },
      // a week without word from its authority, as the clock has it
      env: { SIGNET_DENYLIST_STALE_REFUSES: 'false', SIGNET_OUTWARD_PRIVATE: 'true' },
    }),
  );
  roots = await trustAnchors(env.operator);
  target = { operator: env.operator, ports: env.ports, folder: join(env.dataDir, 'devices') } as never;
});
afterAll(() => stack.disposeAsync());

type View = { readonly state: string; readonly deletableFrom?: string };
const act = (account: string, verb: string, body: object = {}) =>
  env.operator.post<View>(`/v1/accounts/${account}/${verb}`, body);

/** Connects to the broker; rejects where the device is not admitted. */
async function connected({ id, folder }: MadeDevice): Promise<MqttClient> {
  const identity = await folder.operational();
  if (identity === undefined) throw new Error('the device has no certificate');
  const client = connect(`mqtts://localhost:${env.ports.mqtt}`, {
    ...{ ca: roots, key: identity.key as string, cert: identity.certificate },
    ...{ clientId: id, clean: false, reconnectPeriod: 0 },
  });
  client.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('close', () => reject(new Error('closed before CONNACK')));
  });
  stack.defer(() => client.endAsync(true));
  return client;
}

/** All documents of the platform, as they lie in its file, that belong to an account, by collection. */
function storedOf(account: string): Record<string, number> {
  using database = new DatabaseSync(join(env.dataDir, 'signet.db'), { readOnly: true });
  const names = database
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '%.%'`)
    .all()
    .map(({ name }) => String(name));
  const found: Record<string, number> = {};
  for (const name of names) {
    const rows = database.prepare(`SELECT document FROM "${name}" WHERE removed = 0`).all();
    const count = rows.filter(({ document }) => {
      const { id, account: owner } = JSON.parse(String(document)) as { id: string; account?: string };
      return owner === account || id === account || id.startsWith(`${account}/`);
    }).length;
    if (count > 0) found[name] = count;
  }
  return found;
}

function sessionsOf(account: string): unknown[] {
  using database = new DatabaseSync(join(env.dataDir, 'mqtt-sessions.db'), { readOnly: true });
  return database.prepare('SELECT key FROM mqtt_session WHERE key LIKE ?').all(`${account}/%`);
}

it('suspended with its devices, an account has none that is let in, and the account beside it has all of them, until it is resumed', async () => {
  const [mine, theirs] = [
    await onboardDevice(target, 'night', 'lamp'),
    await onboardDevice(target, 'day', 'lamp'),
  ];
  const [live, beside] = [await connected(mine), await connected(theirs)];
  expect(await act('night', 'suspend', { reason: 'unpaid' })).toMatchObject({ state: 'suspended' });
  expect(live.connected).toBe(true);
  const closed = new Promise<void>((resolve) => live.once('close', () => resolve()));
  await act('night', 'suspend', { reason: 'unpaid', devices: true });
  await closed;
  await vi.waitFor(() => expect(connected(mine)).rejects.toThrow('closed before CONNACK'), WITHIN);
  expect(beside.connected).toBe(true);
  expect(await act('night', 'resume')).toMatchObject({ state: 'active' });
  await vi.waitFor(() => connected(mine), WITHIN);
  expect(beside.connected).toBe(true);
});

it('an EST label of no account is not found, and that of one is', async () => {
  const ask = (label: string) =>
    fetchEst(`https://localhost:${env.ports.est}/.well-known/est/${label}/cacerts`);
  await env.operator.makeAccount('labelled');
  expect(await ask('labelled')).toBe(200);
  expect(await ask('labeled')).toBe(404);
  expect(await ask('labeled.lock')).toBe(404);
});

it('of a deleted account nothing is left but what old certificates need, and the account beside it is as it was', async () => {
  const devices: MadeDevice[] = [];
  for (const account of ['gone', 'stays']) {
    const own = pki.authority({ kind: 'factory', account, subject: { commonName: `CA of ${account}` } });
    const base = `/v1/accounts/${account}`;
    devices.push(await onboardDevice(target, account, 'pump'));
    await env.operator.post(`${base}/factory/authorities`, { certificate: own.pem, waiver: 'for the test' });
    await env.operator.post(`${base}/profiles`, { name: 'checked', settings: { approval: 'every' } });
    await env.operator.post(`${base}/groups`, { group: 'hall' });
    await env.operator.put(`${base}/hook`, { url: 'http://127.0.0.1:9/hook' });
    await env.operator.put(`${base}/queues/erp`, { kind: 'pull' });
    await env.operator.put(`${base}/devices/pump/config`, {
      ...{ files: [{ name: 'wifi', value: 'secret', unencrypted: true }], reason: 'first' },
    });
    await env.operator.post(`${base}/devices/pump/commands`, {
      ...{ name: 'stop', payload: {}, expiresInSeconds: 3600 },
    });
  }
  const [gone, stays] = devices as [MadeDevice, MadeDevice];
  const [live, beside] = [await connected(gone), await connected(stays)];
  await live.subscribeAsync(['d/gone/pump/down/#'], { qos: 1 });
  await beside.subscribeAsync(['d/stays/pump/down/#'], { qos: 1 });
  const before = storedOf('stays');
  expect(Object.keys(before)).toContain('provisioning.configs');

  const { deletableFrom } = await act('gone', 'deletion');
  expect(deletableFrom).toBeDefined();
  expect(await env.operator.call('DELETE', '/v1/accounts/gone')).toMatchObject({ status: 409 });
  expect(live.connected).toBe(true);
  ahead += 7 * DAY + 60_000;
  await ticks.fire();
  const closed = new Promise<void>((resolve) => live.once('close', () => resolve()));
  expect(await env.operator.call('DELETE', '/v1/accounts/gone')).toMatchObject({
    ...{ status: 200, body: { state: 'deleted' } },
  });
  await closed;

  const kept = [
    'admin-api.accounts',
    'admin-api.audit',
    'bootstrap.account-states',
    'bootstrap.voided-authorities',
    'est-ca.account-states',
    'est-ca.authorities',
    'est-ca.certificates',
    'revocation-sync.entries',
  ];
  await vi.waitFor(() => {
    const left = Object.keys(storedOf('gone'));
    expect(left.filter((name) => !kept.includes(name))).toEqual([]);
    expect(sessionsOf('gone')).toEqual([]);
  }, WITHIN);
  type Issued = { readonly items: readonly { readonly revocationReason?: string }[] };
  const { items } = await env.operator.get<Issued>('/v1/accounts/gone/certificates');
  expect(items.length).toBeGreaterThan(0);
  expect(items.every(({ revocationReason }) => revocationReason !== undefined)).toBe(true);
  const { body } = await env.operator.call('GET', '/v1/accounts/gone/factory/authorities');
  expect(JSON.stringify(body)).not.toContain('"state":"active"');
  await expect(connected(gone)).rejects.toThrow('closed before CONNACK');

  const other = await env.operator.get<Issued>('/v1/accounts/stays/certificates');
  expect(other.items.some(({ revocationReason }) => revocationReason === undefined)).toBe(true);
  expect(storedOf('stays')).toMatchObject(
    Object.fromEntries(
      ['provisioning.configs', 'provisioning.groups', 'bootstrap.hooks', 'admin-api.queues'].map((name) => [
        ...[name, before[name]],
      ]),
    ),
  );
  expect(sessionsOf('stays')).toHaveLength(1);
  expect(await env.operator.call('POST', '/v1/accounts', { account: 'gone' })).toMatchObject({ status: 403 });
});

/** The status of a GET by a client that trusts the platform's roots. */
async function fetchEst(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { ca: roots, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
