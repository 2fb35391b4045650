import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayClient, leaf, onboard, requestHandoff, rotate } from '@signet/agent';
import type { Device } from '@signet/contracts';
import { OperatorClient } from '@signet/dev-env';
import type { StandaloneProcess } from '@signet/standalone/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Fixture, fetchCrl } from './fixture.ts';

const NAME = '0.1.0';
const states = {
  'manufactured-1': 'manufactured',
  'claimed-1': 'claimed',
  'bootstrapped-1': 'bootstrapped',
  'enrolled-1': 'enrolled',
  'active-1': 'active',
  'blocked-1': 'blocked',
  'retired-1': 'retired',
  'rotating-1': 'active',
  'denied-1': 'active',
  'second-1': 'claimed',
} as const;

/**
 * What belongs to the fixture itself: its deny list ages, nobody listens where its queue is pushed to, and a profile of
 * the account "own" gives nearly as long as its issuing CA lives.
 */
const EXPECTED =
  /the list on disk is too old to start from|ECONNREFUSED 127\.0\.0\.1:9\b|CA "issuing-own-[0-9a-f]+" ends at/;
/** What a start says on standard error besides. */
const complaintsIn = (err: string) => err.split('\n').filter((line) => line !== '' && !EXPECTED.test(line));

describe(`a data folder that ${NAME} wrote, opened by this release`, () => {
  const stack = new AsyncDisposableStack();
  let fixture: Fixture;
  let platform: StandaloneProcess;
  let operator: OperatorClient;
  beforeAll(async () => {
    fixture = stack.use(await Fixture.unpack(NAME));
    platform = stack.use(await fixture.start());
    const url = new URL(platform.url('operators')).origin;
    operator = new OperatorClient({ url, token: await fixture.token() });
  });
  afterAll(() => stack.disposeAsync());

  const get = <T>(path: string) => operator.get<T>(`/v1/accounts/default/${path}`);
  const admitted = async (id: string) => {
    const folder = fixture.device(id);
    const [bundle, identity] = await Promise.all([folder.bundle(), folder.operational()]);
    if (bundle === undefined || identity === undefined) expect.unreachable(`${id}: not enrolled`);
    await new GatewayClient(bundle).greet(identity);
  };

  it('starts without a word of complaint, and is ready', async () => {
    expect(complaintsIn(platform.err)).toEqual([]);
    const ready = await fetch(platform.url('health'));
    expect(await ready.json()).toMatchObject({ ready: true });
  });

  it('lists every device, in its account and in the state that it was in', async () => {
    const { items } = await get<{ items: Device[] }>('devices?limit=1000');
    const listed = Object.fromEntries(items.map(({ deviceId, state }) => [deviceId, state]));
    const { 'manufactured-1': unclaimed, ...claimed } = states;
    expect(listed).toEqual(claimed);
    const log = await get<{ items: Device[] }>('factory/log?limit=1000');
    expect(log.items).toContainEqual(
      expect.objectContaining({ deviceId: 'manufactured-1', state: unclaimed }),
    );
    const own = await operator.get<{ items: Device[] }>('/v1/accounts/own/devices');
    expect(own.items.map(({ deviceId, state }) => [deviceId, state]).toSorted()).toEqual([
      ['own-1', 'enrolled'],
      ['own-2', 'claimed'],
    ]);
  });

  it('admits a live certificate, and refuses those that were revoked, blocked or denied', async () => {
    await vi.waitFor(() => admitted('active-1'), { timeout: 60_000, interval: 200 });
    await admitted('own-1');
    for (const id of ['retired-1', 'blocked-1', 'denied-1'])
      await expect(admitted(id), id).rejects.toThrow(/denied|403|blocked|refused/);
  });

  it('completes the rotation that was under way, and the old certificate is refused from then on', async () => {
    const folder = fixture.device('rotating-1');
    const [bundle, before] = await Promise.all([folder.bundle(), folder.operational()]);
    if (bundle === undefined || before === undefined) expect.unreachable();
    const next = (await folder.nextIdentity()) ?? expect.unreachable();
    const after = await rotate(folder);
    expect(leaf(after).serialNumber).toBe(leaf(next).serialNumber);
    await admitted('rotating-1');
    await vi.waitFor(() => expect(new GatewayClient(bundle).greet(before)).rejects.toThrow(), {
      timeout: 60_000,
      interval: 200,
    });
  });

  it('gives the handoff to the device that was claimed, and the one with a second identity by either', async () => {
    await onboard(fixture.device('claimed-1'), { maxWaitMs: 200 });
    await admitted('claimed-1');
    const { trust, url, identity } = await fixture.device('second-1').factoryFiles();
    const second = await fixture.identity('second-1');
    for (const one of [identity, second])
      expect(await requestHandoff({ url, identity: one, trust })).toMatchObject({ kind: 'bundle' });
  });

  it('enrols a device below the root that its account keeps itself', async () => {
    const enrolled = await onboard(fixture.device('own-2'), { maxWaitMs: 200 });
    expect(leaf(enrolled).subject).toMatchObject({ commonName: 'own-2', organization: 'own' });
    await admitted('own-2');
  });

  it('lists in its CRL what was revoked, under a number that has not gone down', async () => {
    const { path, number, revoked } = fixture.manifest.crl;
    const crl = await fetchCrl(`${platform.url('crl')}${path}`);
    expect(crl.entries.map(({ serialNumber }) => serialNumber)).toContain(revoked);
    expect(crl.number ?? 0n).toBeGreaterThanOrEqual(BigInt(number));
  });

  it('goes on with event queues where they were', async () => {
    const { items } = await get<{ items: { event: { subject: string } }[] }>(
      'queues/pulled/events?max=1000&waitSeconds=5',
    );
    const subjects = items.map(({ event }) => event.subject);
    expect(subjects.length).toBeGreaterThan(0);
    for (const acknowledged of fixture.manifest.queue.acknowledged)
      expect(subjects).not.toContain(acknowledged);
    expect(await get('queues/pushed')).toMatchObject({ kind: 'push', url: 'http://127.0.0.1:9/events' });
  });

  it('has what operators set: groups, labels, config, profiles, rules, policy, requests, denials', async () => {
    const groups = await get<{ items?: { group: string }[]; groups?: { group: string }[] }>('groups');
    expect(JSON.stringify(groups)).toMatch(/north.*warm|warm.*north/);
    expect(JSON.stringify(await get('groups/north/devices'))).toMatch(/active-1/);
    expect(await get('devices/active-1/labels')).toMatchObject({ labels: { climate: 'warm' } });
    expect(JSON.stringify(await get('groups/north/config'))).toContain('of = \\"north\\"');
    expect(JSON.stringify(await get('devices/enrolled-1/config'))).toContain('enrolled-1');
    expect(JSON.stringify(await get('profiles'))).toContain('"approved"');
    expect(JSON.stringify(await get('block-rules'))).toContain('SN-0001..SN-0009');
    expect(await get('mqtt-policy')).toMatchObject({ shared: true });
    expect(JSON.stringify(await get('provisioning-requests'))).toContain('claimed-1');
    expect(JSON.stringify(await get('denylist'))).toContain('by an operator');
    expect(JSON.stringify(await operator.get('/v1/tokens'))).toContain('"viewer"');
    expect(JSON.stringify(await get('audit?limit=1000'))).toContain('devices/actions/block');
  });
});

describe('a data folder of a later release', () => {
  it('is refused in one line that says what to do, and left as it is', async () => {
    await using fixture = await Fixture.unpack(NAME);
    const file = join(fixture.root, 'data', 'signet.db');
    {
      using database = new DatabaseSync(file);
      database.exec(
        `CREATE TABLE IF NOT EXISTS store_schema
           (component TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (component, number)) WITHOUT ROWID;
         INSERT INTO store_schema VALUES ('bootstrap.devices', 1000, 'of-a-later-release')`,
      );
    }
    const { code, lines: said } = await fixture.refusedStart();
    const lines = complaintsIn(said.join('\n'));
    expect(code).toBe(1);
    expect(lines.length, lines.join('\n')).toBe(1);
    expect(lines[0]).toMatch(/^signet: .*bootstrap\.devices was written by a newer Signet/);
    expect(await readdir(join(fixture.root, 'data'))).toContain('signet.db');
  });
});
