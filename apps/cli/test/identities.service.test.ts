import { sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  DeviceFolder,
  type Identity,
  leaf,
  type MqttSession,
  onboard,
  openMqttSession,
  requestHandoff,
  type Step,
} from '@signet/agent';
import type { Device } from '@signet/contracts';
import { type DevEnv, startDevEnv, trustAnchors } from '@signet/dev-env';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Manufacturer, manufacturing, told, toldAll } from './manufacturer.ts';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
let trust: string;
let line: ReturnType<typeof manufacturing>;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
  trust = await trustAnchors(env.operator);
  line = manufacturing(env, terminal, trust);
});
afterAll(() => stack.disposeAsync());

const signet = (...args: string[]) => terminal.signet(...args);
const at = (...path: string[]) => join(terminal.folder, ...path);
const REFUSED = /refused|403/;

/** A device of a factory CA of Signet, in the account of the arguments. */
async function made(id: string, ...account: string[]) {
  told(await signet(...account, 'factory', 'sign', '--new', id, '--json'));
  const identity = {
    certificate: await readFile(at(id, 'bootstrap.crt'), 'utf8'),
    key: await readFile(at(id, 'bootstrap.key'), 'utf8'),
  };
  const folder = new DeviceFolder(at(`${id}-device`));
  await folder.putFactoryFiles({ ...identity, trust, url: `https://localhost:${env.ports.bootstrap}` });
  return { folder, identity, fingerprint: leaf(identity).fingerprint };
}

const refusalOf = (fingerprint: string, code: string) =>
  env.events.find('BOOTSTRAP_REFUSED', ({ data }) => data.fingerprint === fingerprint && data.code === code);

describe('F15: a device with an IDevID of its maker and an LDevID of its owner, from different roots', () => {
  const both = async (ca: Manufacturer, id: string) => ({
    idevid: await made(id),
    ldevid: await line.device(ca, id),
  });

  /** POSTs with one identity that the other is the same device's. */
  function proves(
    by: Identity,
    other: Identity,
    key = other.key,
  ): Promise<{ status: number; body: unknown }> {
    const fingerprints = [by, other].map((one) => leaf(one).fingerprint);
    const statement = Buffer.from(`signet-identity\n${fingerprints.join('\n')}\n`);
    const signature = sign('sha256', statement, key).toString('base64');
    return new Promise((resolve, reject) => {
      const call = request(
        `https://localhost:${env.ports.bootstrap}/v1/bootstrap/identities`,
        {
          ...{ method: 'POST', agent: false, ca: trust, cert: by.certificate, key: by.key },
          headers: { 'content-type': 'application/json' },
        },
        async (response) => {
          const text = Buffer.concat(await response.toArray()).toString();
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
        },
      );
      call.on('error', reject);
      call.end(JSON.stringify({ certificate: leaf(other).pem(), signature }));
    });
  }

  test('is one device to a claim by either; the account says which gets the handoff, and the other is refused by name', async () => {
    const ca = await line.manufacturer('owner');
    await line.registered(ca);
    const { idevid, ldevid } = await both(ca, 'both-1');
    await env.operator.post('/v1/accounts/acme/devices/identities', {
      fingerprint: idevid.fingerprint,
      certificate: ldevid.identity.certificate,
    });
    expect((await signet('devices', 'claim', ldevid.fingerprint)).out).toBe('acme/both-1 is claimed\n');
    expect((await signet('devices', 'claim', idevid.fingerprint)).code).toBe(0);
    const theirs = await terminal.signetWith(
      { SIGNET_ACCOUNT: 'globex' },
      ...['devices', 'claim', ldevid.fingerprint],
    );
    expect(theirs.err).toMatch(/^signet: claimed-by-another: /);
    await line.until(ldevid.identity, 'bundle');

    expect((await signet('account', 'set', 'handsOver', 'ldevid')).code).toBe(0);
    expect(await line.asks(idevid.identity)).toMatch(REFUSED);
    expect((await refusalOf(idevid.fingerprint, 'wrong-identity')).data.message).toBe(
      "fingerprint: the account gives the handoff to the device's LDevID",
    );
    const operational = leaf(await onboard(ldevid.folder, { report: () => {} }));
    expect(operational.subject).toMatchObject({ commonName: 'both-1', organization: 'acme' });
    const { items } = await env.operator.get<{ items: Device[] }>('/v1/accounts/acme/devices?limit=1000');
    expect(items.filter(({ deviceId }) => deviceId === 'both-1')).toMatchObject([
      { state: 'enrolled', fingerprint: idevid.fingerprint, secondFingerprint: ldevid.fingerprint },
    ]);

    expect((await signet('account', 'set', 'handsOver', 'idevid')).code).toBe(0);
    expect(await line.asks(ldevid.identity)).toMatch(REFUSED);
    await refusalOf(ldevid.fingerprint, 'wrong-identity');
    expect(await line.asks(idevid.identity)).toBe('bundle');
    expect((await signet('account', 'set', 'handsOver', 'either')).code).toBe(0);
    const seen = env.events.all.filter(
      ({ type, subject }) => type === 'DEVICE_FIRST_SEEN' && subject === 'both-1',
    );
    expect(seen).toEqual([]);
  });

  test('proves its second identity itself: by the key of each, and for a device that its owner has', async () => {
    const ca = await line.manufacturer('proving');
    await line.registered(ca);
    const { idevid, ldevid } = await both(ca, 'both-2');
    const other = await both(ca, 'both-3');
    await vi.waitFor(async () => {
      const proven = await proves(idevid.identity, ldevid.identity);
      expect(proven).toEqual({
        status: 200,
        body: { fingerprint: idevid.fingerprint, secondFingerprint: ldevid.fingerprint },
      });
    }, 10_000);
    expect((await proves(ldevid.identity, idevid.identity)).status).toBe(200);
    expect((await signet('devices', 'claim', ldevid.fingerprint)).code).toBe(0);
    expect(await line.asks(ldevid.identity)).toBe('bundle');

    const refused = async (answer: ReturnType<typeof proves>, code: string) =>
      expect(await answer).toMatchObject({ status: 403, body: { code } });
    const { identity } = other.ldevid;
    await refused(proves(other.idevid.identity, identity, other.idevid.identity.key), 'bad-signature');
    await refused(proves(idevid.identity, identity), 'wrong-identity');
    await refused(proves(other.idevid.identity, ldevid.identity), 'wrong-identity');
    await refused(proves(other.idevid.identity, idevid.identity), 'wrong-identity');
    await refused(
      proves(
        other.idevid.identity,
        (await line.device(await line.manufacturer('nobody'), 'both-3')).identity,
      ),
      'unknown-issuer',
    );
    await refusalOf(other.idevid.fingerprint, 'bad-signature');
  });

  test('F15: the agent proves the second identity that lies in its folder, and onboards by the first; one that is not its own does not stop it', async () => {
    const ca = await line.manufacturer('agents');
    await line.registered(ca);
    const second = async (id: string, { identity }: { identity: Identity }) => {
      await writeFile(at(`${id}-device`, 'second.crt'), identity.certificate);
      await writeFile(at(`${id}-device`, 'second.key'), identity.key);
    };
    const { idevid, ldevid } = await both(ca, 'both-4');
    await second('both-4', ldevid);
    const steps: Step[] = [];
    const report = (step: Step) => void steps.push(step);
    const onboarded = onboard(idevid.folder, { report, maxWaitMs: 200 });
    await vi.waitFor(() => expect(steps.map(({ step }) => step)).toContain('waiting'), 10_000);
    expect((await signet('devices', 'claim', ldevid.fingerprint)).out).toBe('acme/both-4 is claimed\n');
    expect(leaf(await onboarded).subject).toMatchObject({ commonName: 'both-4', organization: 'acme' });
    expect(steps[0]).toEqual({ step: 'second-identity', fingerprint: ldevid.fingerprint });
    expect(steps.filter(({ step }) => step === 'second-identity')).toHaveLength(1);

    const stolen = await made('both-5');
    await second('both-5', ldevid);
    expect((await signet('devices', 'claim', stolen.fingerprint)).code).toBe(0);
    steps.length = 0;
    await onboard(stolen.folder, { report });
    expect(steps.map(({ step }) => step)).toEqual(['second-identity', 'handed-over', 'enrolled']);
    expect(steps[0]).toMatchObject({ reason: expect.stringMatching(/403 wrong-identity/) });
  });
});

/** The session is cut within seconds. */
const ends = (session: MqttSession) =>
  expect(Promise.race([session.ended.then(() => 'ended'), setTimeout(10_000, 'still there')])).resolves.toBe(
    'ended',
  );

test('F62: a factory CA that is put out of force takes all its devices with it, onboarded ones and live sessions included', async () => {
  const voided = ['--account', 'voided'];
  const created = toldAll<{ authorityId: string; kind: string }>(
    await signet(...voided, 'ca', 'create', '--json'),
  );
  const factory = created.find(({ kind }) => kind === 'factory')?.authorityId ?? '';
  const [fresh, claimed, onboarded] = await Promise.all(
    ['void-1', 'void-2', 'void-3'].map((id) => made(id, ...voided)),
  );
  if (fresh === undefined || claimed === undefined || onboarded === undefined) throw new Error('not made');
  for (const { fingerprint } of [claimed, onboarded])
    expect((await signet(...voided, 'devices', 'claim', fingerprint)).code).toBe(0);
  const operational = await onboard(onboarded.folder, { report: () => {} });
  const bundle = await vi.waitFor(async () => {
    const url = `https://localhost:${env.ports.bootstrap}`;
    const handoff = await requestHandoff({ url, identity: onboarded.identity, trust });
    if (handoff.kind !== 'bundle') throw new Error(handoff.kind);
    return handoff.bundle;
  });
  await using session = await openMqttSession(bundle, operational);
  expect(await line.asks(fresh.identity)).toBe('wait');

  expect((await signet(...voided, 'ca', 'disable', factory, '--reason', 'audit')).code).toBe(0);
  await ends(session);
  for (const { identity } of [fresh, claimed, onboarded]) await line.until(identity, REFUSED);
  await expect(openMqttSession(bundle, operational)).rejects.toMatchObject({ code: 'refused' });
  const states = async () => {
    const { items } = await env.operator.get<{ items: Device[] }>('/v1/accounts/voided/devices?limit=1000');
    return items.map(({ deviceId, state }) => `${deviceId} ${state}`).sort();
  };
  await vi.waitFor(async () => expect(await states()).toEqual(['void-2 blocked', 'void-3 blocked']));

  expect((await signet(...voided, 'ca', 'enable', factory)).code).toBe(0);
  await line.until(fresh.identity, 'wait');
  await line.until(claimed.identity, 'bundle');
  await vi.waitFor(async () => {
    await using again = await openMqttSession(bundle, operational);
    expect(again.ended).toBeDefined();
  }, 10_000);

  await using second = await openMqttSession(bundle, operational);
  expect((await signet(...voided, 'ca', 'revoke', factory, '--reason', 'key stolen')).code).toBe(0);
  await ends(second);
  for (const { identity } of [fresh, claimed, onboarded]) await line.until(identity, REFUSED);
  await expect(openMqttSession(bundle, operational)).rejects.toMatchObject({ code: 'refused' });
});

describe('F48: a device of a local CA that comes to the MQTT provisioning listener first', () => {
  async function provisions(id: string, { identity }: { identity: Identity }): Promise<unknown> {
    const { out } = await signet('provisioning', 'create', id, '--username', 'preseeded', '--json');
    const { password } = JSON.parse(out) as { password: string };
    const connect = () =>
      connectAsync(`mqtts://localhost:${env.ports.mqttProvisioning}`, {
        ...{ cert: identity.certificate, key: identity.key, ca: trust, reconnectPeriod: 0 },
        ...{ clientId: id, username: 'preseeded', password },
      });
    // until the listener has heard of the CA
    const client = await vi.waitFor(connect, { timeout: 10_000, interval: 200 });
    const answer = new Promise<unknown>((resolve) =>
      client.once('message', (_, payload) => resolve(JSON.parse(payload.toString()))),
    );
    await client.subscribeAsync(`$signet/${id}/provisioning/reply`, { qos: 1 });
    await client.publishAsync(`$signet/${id}/provisioning/request`, '{}', { qos: 1 });
    try {
      return await answer;
    } finally {
      await client.endAsync();
    }
  }

  test('is taken up, and gets its bundle where the account claims such devices', async () => {
    const ca = await line.manufacturer('mqtt');
    await line.registered(ca, '--first-contact', 'claimed');
    const device = await line.device(ca, 'local-1');
    expect(await provisions('local-1', device)).toMatchObject({
      ...{ account: 'acme', deviceId: 'local-1', est: { grant: expect.any(String) } },
    });
    const { fingerprint } = device;
    await env.events.find('DEVICE_FIRST_SEEN', ({ data }) => data.fingerprint === fingerprint);
  });

  test('is taken up and told that nobody claimed it where it shall wait', async () => {
    const ca = await line.manufacturer('mqtt-waits');
    await line.registered(ca);
    const device = await line.device(ca, 'local-2');
    expect(await provisions('local-2', device)).toEqual({ code: 'unclaimed' });
    expect((await refusalOf(device.fingerprint, 'unclaimed')).data.listener).toBe('mqtt-provisioning');
  });
});
