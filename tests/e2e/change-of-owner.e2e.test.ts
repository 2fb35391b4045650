import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { onboard, openMqttSession, reenroll } from '@signet/agent';
import { createMqttCredentials, mqttSubject, uuidv7 } from '@signet/contracts';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type MadeDevice, makeDevice } from '../attacks/device.ts';
import { type Entry, notOfADevice, operations, records, table } from './support/owned-state.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const OWNER = 'first-owner';
const NEXT = 'next-owner';
const GENEROUS = { timeout: 20_000, interval: 100 };
const pki = createTestPki();
const own = pki.authority({ kind: 'factory', account: OWNER, subject: { commonName: 'Own CA' } });

const stack = new AsyncDisposableStack();
let env: DevEnv;
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  await env.operator.post(`/v1/accounts/${OWNER}/factory/authorities`, {
    ...{ certificate: own.pem, waiver: 'made for the test' },
  });
  await env.operator.post(`/v1/accounts/${OWNER}/profiles`, {
    ...{ name: 'checked', settings: { approval: 'every' } },
  });
});
afterAll(() => stack.disposeAsync());

/** Every document of a collection, or row of a table, as it lies in the platform's files. */
function stored(collection: string): Entry[] {
  const isSession = collection.startsWith('mqtt_');
  const file = join(env.dataDir, isSession ? 'mqtt-sessions.db' : 'signet.db');
  using database = new DatabaseSync(file, { readOnly: true });
  const from = `FROM "${collection}"`;
  if (isSession) return database.prepare(`SELECT * ${from}`).all() as Entry[];
  return database
    .prepare(`SELECT document ${from} WHERE removed = 0`)
    .all()
    .map(({ document }) => JSON.parse(String(document)) as Entry);
}

/** What of the table still speaks for the former owner: true for each row that holds something. */
function left({ id, fingerprint }: MadeDevice): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(table).map(([row, { of, holds }]) => [
      row,
      stored(of).some((entry) => holds(entry, { account: OWNER, id, fingerprint })),
    ]),
  );
}

/** A device at work that has all that an owner can set of it, and all that it leaves itself. */
async function equipped(id: string): Promise<MadeDevice> {
  const { operator, ports, dataDir, deps } = env;
  const target = { operator, ports, folder: join(dataDir, 'devices') } as never;
  const made = await makeDevice(target, 'maker', id);
  const { fingerprint, folder } = made;
  const base = `/v1/accounts/${OWNER}`;
  const device = `${base}/devices/${id}`;
  await operator.post(`${base}/devices`, { fingerprint, group: 'halls' });
  await onboard(folder);
  await operator.post(`${base}/devices/identities`, {
    ...{ fingerprint, certificate: pki.bootstrap(id, { signedBy: own }).cert },
  });
  const [bundle, identity] = [await folder.bundle(), await folder.operational()];
  if (bundle === undefined || identity === undefined) throw new Error('not onboarded');
  const mqtt = { ...bundle.mqtt, url: `mqtts://localhost:${ports.mqtt}` };
  {
    await using session = await openMqttSession({ ...bundle, mqtt }, identity);
    const report = {
      ...{ id: crypto.randomUUID(), deviceTime: new Date().toISOString() },
      ...{ event: { correlationId: 'update-1' }, eventType: { id: 'Downloaded', version: 1 } },
    };
    await session.publish(['events'], JSON.stringify([report]));
    await vi.waitFor(() => expect(left(made)['activity of the device']).toBe(true), GENEROUS);
  }
  await deps.bus.send(mqttSubject(OWNER, id, 'down', ['command']), Buffer.from('from the first owner'));
  await operator.put(`${device}/labels`, { set: { hall: '3' } });
  await operator.put(`${device}/config`, {
    ...{ files: [{ name: 'wifi', value: 'secret', unencrypted: true }], reason: 'first' },
  });
  await operator.post(`${base}/provisioning-requests`, {
    ...{ deviceId: id, config: [{ name: 'wifi', value: 'secret', unencrypted: true }] },
  });
  await deps.bus.request(createMqttCredentials, { account: OWNER, deviceId: id });
  await operator.post(`${base}/campaigns`, { deviceIds: [id], perMinute: 0.01 });
  await operator.post(`${device}/renewal-grant`, { hours: 1 });
  await operator.put(`${device}/profile`, { profile: 'checked' });
  const est = { url: `https://localhost:${ports.est}`, label: `${OWNER}.checked` };
  const key = await folder.keys.create();
  const asked = reenroll({ ...est, trust: await trustAnchors(operator) }, { key, identity });
  await expect(asked).rejects.toMatchObject({ message: expect.stringContaining('202') });
  await operator.post(`${base}/denylist`, { targets: [{ kind: 'fingerprint', fingerprint }] });
  await vi.waitFor(() => expect(left(made)).toEqual(all(true)), GENEROUS);
  return made;
}

const all = (is: boolean) => Object.fromEntries(Object.keys(table).map((row) => [row, is]));

const act = (verb: string, deviceIds: string[]) =>
  env.operator.post(`/v1/accounts/${OWNER}/devices/actions/${verb}`, { deviceIds });

describe('what an owner set of a device, and what the device left there', () => {
  test.each(operations)('after %s nothing is left but what the table says', async (operation) => {
    const made = await equipped(`pump-${operation.replaceAll(' ', '-')}`);
    const verb = { reset: 'reset', retire: 'revoke' }[operation as string] ?? 'unclaim';
    expect(await act(verb, [made.id])).toMatchObject({ failed: [] });
    if (operation === 'claim by another')
      await env.operator.post(`/v1/accounts/${NEXT}/devices`, { fingerprint: made.fingerprint });
    const wanted = Object.fromEntries(
      Object.entries(table).map(([row, { stays }]) => [row, stays.includes(operation)]),
    );
    await vi.waitFor(() => expect(left(made)).toEqual(wanted), GENEROUS);
  });

  test('a device that bears the id next in that account begins with nothing, and a late word of the one before takes nothing from it', async () => {
    const before = await equipped('heir');
    await act('unclaim', ['heir']);
    const target = {
      ...{ operator: env.operator, ports: env.ports, folder: join(env.dataDir, uuidv7(Date.now())) },
    } as never;
    const heir = await makeDevice(target, 'maker-2', 'heir');
    const base = `/v1/accounts/${OWNER}`;
    await env.operator.post(`${base}/devices`, { fingerprint: heir.fingerprint, group: 'halls' });
    await env.operator.put(`${base}/devices/heir/labels`, { set: { yard: '1' } });
    const files = [{ name: 'lan', value: 'own', unencrypted: true }];
    const written = await env.operator.call('PUT', `${base}/devices/heir/config`, {
      files,
      reason: 'first',
    });
    expect(written).toMatchObject({ status: 200 });
    const read = (what: string) => env.operator.get<Record<string, unknown>>(`${base}/devices/heir/${what}`);
    const begun = async () => {
      expect(await read('config')).toMatchObject({ files: [{ name: 'lan' }] });
      expect(await read('labels')).toMatchObject({ groups: ['halls'], labels: { yard: '1' } });
      expect(left(before)).toMatchObject({
        ...{ 'second identity': false, 'provisioning requests': false, 'keys in use': false },
        ...{ 'MQTT session': false, 'denial by an operator': false },
      });
    };
    await vi.waitFor(begun, GENEROUS);
    const [departure] = [await env.events.find('DEVICE_RESET', ({ subject }) => subject === 'heir')];
    await env.deps.bus.publish([{ ...departure, id: uuidv7(Date.now()) }]);
    const marker = await equipped('after-the-late-word');
    await act('unclaim', [marker.id]);
    await vi.waitFor(() => expect(left(marker)['device config']).toBe(false), GENEROUS);
    await begun();
  });
});

test('every collection of every service has a row in the table, or is said to be of no device, or to be a record', async () => {
  const services = join(import.meta.dirname, '..', '..', 'services');
  const files = (await readdir(services, { recursive: true })).filter(
    (file) => /^[a-z-]+\/src\/.*\.ts$/.test(file) && !file.endsWith('.test.ts'),
  );
  const declared = new Set<string>();
  for (const file of files)
    for (const [, name = ''] of (await readFile(join(services, file), 'utf8')).matchAll(
      /\bname: '([a-z-]+\.[a-z-]+)',\n\s+schema/g,
    ))
      declared.add(name);
  expect(declared.size).toBeGreaterThan(50);
  const known = new Set([
    ...Object.values(table).flatMap(({ of }) => (of.includes('.') ? [of] : [])),
    ...notOfADevice,
    ...Object.keys(records),
  ]);
  expect([...declared].toSorted()).toEqual([...known].toSorted());
});
