import {
  type CampaignPlan,
  changeCampaign,
  changeGroup,
  createGroup,
  getCampaign,
  getDeviceConfig,
  identifyDevices,
  listCampaignDevices,
  listCampaigns,
  listCertificates,
  startCampaign,
} from '@signet/contracts';
import { newTestKey, type TestIdentity } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type GatewayFixture, openGatewayFixture } from './support/gateway-fixture.ts';

let scene: GatewayFixture;
let clock: number;
let fleet: Map<string, TestIdentity>;

beforeEach(async () => {
  clock = 0;
  scene = await openGatewayFixture({
    identifies: true,
    env: { SIGNET_CAMPAIGN_TICK_MS: '50', SIGNET_EST_URL: 'https://est.example:8443' },
    now: () => Date.now() + clock,
  });
  fleet = new Map();
  await scene.bus.serve(identifyDevices, async ({ deviceIds }) => ({
    devices: deviceIds
      .filter((deviceId) => deviceId !== 'nobody')
      .map((deviceId) => ({
        ...{ deviceId, fingerprint: 'ab'.repeat(32), account: ACCOUNT, factoryAccount: ACCOUNT },
      })),
  }));
});
afterEach(() => scene[Symbol.asyncDispose]());

async function devices(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, i) => `pump-${i}`);
  for (const id of ids) {
    const identity = operational(id);
    fleet.set(id, identity);
    await scene.issued(identity);
  }
  await vi.waitFor(async () => {
    for (const id of ids) expect((await scene.call(of(id), { path: '/device' })).body).toContain('"current"');
  }, 10_000);
  return ids;
}
const operational = (id: string) => scene.fixture.pki.operational(ACCOUNT, id, { privateKey: newTestKey() });
const of = (id: string): TestIdentity => fleet.get(id) ?? expect.unreachable();

const start = (plan: Partial<CampaignPlan>) =>
  scene.bus.request(startCampaign, { account: ACCOUNT, by: 'ada', ...plan });
const show = (campaignId: string) => scene.bus.request(getCampaign, { account: ACCOUNT, campaignId });
const act = (campaignId: string, action: 'pause' | 'resume' | 'cancel') =>
  scene.bus.request(changeCampaign, { account: ACCOUNT, campaignId, action, by: 'ada' });
const until = (campaignId: string, expected: object) =>
  vi.waitFor(async () => expect(await show(campaignId)).toMatchObject(expected), 10_000);
const orderOf = async (deviceId: string) =>
  (await scene.bus.request(getDeviceConfig, { account: ACCOUNT, deviceId })).files.find(
    ({ name }) => name === 'fio-rotate-certs',
  );
const rotated = async (id: string) => {
  const next = operational(id);
  await scene.announce(of(id), next, 1);
  await scene.call(next, { path: '/device' });
};
const failed = (id: string, rotationId: string) =>
  scene.call(of(id), {
    ...{ method: 'POST', path: '/events' },
    body: [
      {
        id: crypto.randomUUID(),
        deviceTime: '',
        event: { correlationId: rotationId, success: false, details: 'EST: 503' },
        eventType: { id: 'Generate new certificate', version: 0 },
      },
    ],
  });

describe('F42: a campaign', () => {
  test('of one device: ordered by its config as real clients read it, done at its first contact', async () => {
    await devices(1);
    const { campaignId, rotationId } = await start({ deviceIds: ['pump-0'] });
    expect(rotationId).toMatch(/^certs-\d{10}$/);
    await until(campaignId, { state: 'RUNNING', counts: { ORDERED: 1 } });
    await vi.waitFor(async () =>
      expect(await orderOf('pump-0')).toEqual({
        name: 'fio-rotate-certs',
        value: `ESTSERVER=https://est.example:8443/.well-known/est\nROTATIONID=${rotationId}\nPKEYIDS=01,07\nCERTIDS=03,09\n`,
        unencrypted: true,
        'on-changed': ['/usr/share/fioconfig/handlers/renew-client-cert'],
      }),
    );
    expect([...scene.orders]).toEqual([['pump-0', rotationId]]);
    await rotated('pump-0');
    await until(campaignId, { state: 'COMPLETED', counts: { DONE: 1 } });
    const [change] = await scene.events('DEVICE_PUBKEY_CHANGE', 1);
    expect(change?.data.rotationId).toBe(rotationId);
    const events = await scene.events('CAMPAIGN_CHANGED', 3);
    expect(events.map(({ data }) => data.state)).toEqual(['PREPARING', 'RUNNING', 'COMPLETED']);
  });

  test('of a group; who has no key is left out, and named', async () => {
    await devices(2);
    await scene.bus.request(createGroup, { account: ACCOUNT, group: 'hall-3', by: 'ada' });
    const add = ['pump-0', 'pump-1', 'no-key-yet'];
    await scene.bus.request(changeGroup, { account: ACCOUNT, group: 'hall-3', add, by: 'ada' });
    const { campaignId } = await start({ group: 'hall-3', perMinute: 6000 });
    await until(campaignId, { counts: { ORDERED: 2, SKIPPED: 1 } });
    const skipped = { account: ACCOUNT, campaignId, state: 'SKIPPED' } as const;
    expect((await scene.bus.request(listCampaignDevices, skipped)).items).toMatchObject([
      { deviceId: 'no-key-yet', reason: 'no certificate of it is known' },
    ]);
  });

  test('F82: of all that end before a date, by their last certificate that is not revoked', async () => {
    await devices(3);
    const certificate = (deviceId: string, days: number, revokedAt?: string) => ({
      ...{ serialNumber: 'ab', account: ACCOUNT, deviceId, profile: ACCOUNT },
      ...{ certificate: '-----BEGIN CERTIFICATE-----\n', issuerKeyId: 'ab' },
      ...{ fingerprint: 'ab'.repeat(32), publicKeyHash: 'ab'.repeat(32) },
      notBefore: new Date(0).toISOString(),
      notAfter: new Date(Date.now() + days * 86_400_000).toISOString(),
      ...(revokedAt === undefined ? {} : { revokedAt }),
    });
    await scene.bus.serve(listCertificates, async ({ cursor }) =>
      cursor === undefined
        ? {
            items: [certificate('pump-0', 5), certificate('pump-1', 5), certificate('pump-2', 80)],
            next: '2',
          }
        : { items: [certificate('pump-1', 80), certificate('pump-0', 80, new Date().toISOString())] },
    );
    const expiresBefore = new Date(Date.now() + 10 * 86_400_000).toISOString();
    const { campaignId } = await start({ expiresBefore });
    await until(campaignId, { state: 'RUNNING', counts: { ORDERED: 1, WAITING: 0 } });
    await vi.waitFor(async () => expect(await orderOf('pump-0')).toBeDefined());
    expect(await orderOf('pump-1')).toBeUndefined();
  });

  test('F82: goes at no more than its rate, however many replicas run it', async () => {
    await devices(6);
    await scene.startReplica();
    const { campaignId } = await start({ deviceIds: [...fleet.keys()], perMinute: 1 });
    await until(campaignId, { counts: { ORDERED: 1, WAITING: 5 } });
    clock = 61_000;
    await until(campaignId, { counts: { ORDERED: 2, WAITING: 4 } });
    clock = 3_661_000;
    // an hour is not made up for at once
    await until(campaignId, { counts: { ORDERED: 3 } });
    expect((await show(campaignId)).counts.WAITING).toBeGreaterThanOrEqual(2);
  });

  test('is paused and resumed by an operator', async () => {
    await devices(2);
    const { campaignId } = await start({ deviceIds: [...fleet.keys()], perMinute: 1 });
    await until(campaignId, { counts: { ORDERED: 1 } });
    expect(await act(campaignId, 'pause')).toMatchObject({ state: 'PAUSED', reason: 'by ada' });
    clock = 120_000;
    await scene.call(of('pump-1'), { path: '/device' });
    expect((await show(campaignId)).counts).toMatchObject({ ORDERED: 1, WAITING: 1 });
    await act(campaignId, 'resume');
    await until(campaignId, { state: 'RUNNING', counts: { ORDERED: 2 } });
  });

  test('pauses itself when failures reach its threshold, says why, and goes on when resumed', async () => {
    await devices(3);
    const { campaignId, rotationId } = await start({
      ...{ deviceIds: ['pump-0', 'pump-1', 'pump-2'], perMinute: 1, maxFailures: 1 },
    });
    await until(campaignId, { counts: { ORDERED: 1 } });
    await failed('pump-0', rotationId);
    await until(campaignId, { state: 'PAUSED', reason: '1 devices failed', counts: { FAILED: 1 } });
    const of1 = { account: ACCOUNT, campaignId, state: 'FAILED' } as const;
    expect((await scene.bus.request(listCampaignDevices, of1)).items).toMatchObject([
      { deviceId: 'pump-0', reason: 'Generate new certificate failed: EST: 503' },
    ]);
    await act(campaignId, 'resume');
    await until(campaignId, { state: 'RUNNING', counts: { ORDERED: 1, WAITING: 1 } });
    // what said that it failed and is seen with its new key is done
    await rotated('pump-0');
    await until(campaignId, { counts: { DONE: 1, FAILED: 0 } });
  });

  test('a device that stays silent past the deadline has failed', async () => {
    await devices(1);
    const { campaignId } = await start({ deviceIds: ['pump-0'], deadlineHours: 1, maxFailures: 5 });
    await until(campaignId, { counts: { ORDERED: 1 } });
    clock = 3_700_000;
    await until(campaignId, { state: 'COMPLETED', counts: { FAILED: 1 } });
  });

  test('cancelled: devices that did not begin have no order any more, one that did finishes', async () => {
    await devices(3);
    const { campaignId } = await start({ deviceIds: ['pump-0', 'pump-1', 'pump-2'], perMinute: 60_000 });
    await until(campaignId, { counts: { ORDERED: 3 } });
    await vi.waitFor(async () => expect(await orderOf('pump-2')).toBeDefined());
    const next = operational('pump-0');
    await scene.announce(of('pump-0'), next, 1);
    await act(campaignId, 'cancel');
    await until(campaignId, { state: 'CANCELLED', counts: { ORDERED: 1, WITHDRAWN: 2 } });
    expect(await orderOf('pump-1')).toBeUndefined();
    expect([...scene.orders.keys()]).toEqual(['pump-0']);
    await scene.call(next, { path: '/device' });
    await until(campaignId, { state: 'CANCELLED', counts: { DONE: 1 } });
    await expect(act(campaignId, 'resume')).rejects.toMatchObject({
      code: 'campaign-state',
      message: 'state: a campaign cannot go from CANCELLED to RUNNING',
    });
    const all = await scene.bus.request(listCampaigns, { account: ACCOUNT });
    expect(all.items.map((campaign) => campaign.campaignId)).toEqual([campaignId]);
  });

  test.each([
    [{}, 'deviceIds'],
    [{ deviceIds: ['pump-0'], group: 'hall-3' }, 'deviceIds'],
    [{ deviceIds: ['pump-0'], perMinute: 0 }, 'perMinute'],
    [{ deviceIds: ['pump-0'], maxFailures: 0 }, 'maxFailures'],
  ])('what cannot be is refused by its field: %j', async (plan, field) => {
    await expect(start(plan)).rejects.toMatchObject({ code: 'invalid-input', field });
  });

  test('a device that nobody has is named, and nothing starts', async () => {
    await expect(start({ deviceIds: ['pump-1', 'nobody'] })).rejects.toMatchObject({
      code: 'unknown-device',
      message: 'deviceId: account "acme" has no device nobody',
    });
    expect((await scene.bus.request(listCampaigns, { account: ACCOUNT })).items).toEqual([]);
  });

  test('an unknown group and an unknown campaign are named', async () => {
    await expect(start({ group: 'nowhere' })).rejects.toMatchObject({ code: 'unknown-group' });
    await expect(show('0195511c-0e2b-7d11-9c5e-5a2f0e7c1b21')).rejects.toMatchObject({
      code: 'unknown-campaign',
    });
  });
});
