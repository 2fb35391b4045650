import {
  type DisconnectReason,
  getDevice,
  getDeviceProfile,
  listCertificates,
  newEvent,
  OperationError,
  type SignetEvent,
  uuidv7,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { consumeDeviceView } from '../src/consumers/device-view.ts';
import { auditEntries as auditOf } from '../src/domain/audit/audit-log.ts';
import { deviceActivities } from '../src/domain/device/device-activity.ts';
import { purgeRefusals, REFUSAL_RETENTION, refusalRecords } from '../src/domain/device/refusal-record.ts';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ accounts: [], env: { SIGNET_ACCOUNT: 'acme' } });
});
afterEach(() => api[Symbol.asyncDispose]());

const fingerprint = 'ab'.repeat(32);
const publish = (...events: SignetEvent[]) => api.fixture.deps.bus.publish(events);
const items = (body: Record<string, unknown>) => body.items as Record<string, unknown>[];

function refused(deviceId: string | undefined, account = 'acme', shown = fingerprint, time = Date.now()) {
  return newEvent('DEVICE_REFUSED', {
    time,
    account,
    subject: deviceId ?? 'unknown',
    data: {
      ...(deviceId === undefined ? {} : { deviceId }),
      fingerprint: shown,
      address: '192.0.2.1',
      count: 1,
      code: 'denied',
      message: 'certificate: it is on the deny list',
      listener: 'mqtt' as const,
    },
  });
}

const session = (deviceId: string, sessionId: string) => ({
  deviceId,
  sessionId,
  node: 'broker-1',
  address: '192.0.2.17',
  fingerprint,
  serialNumber: '0a',
  issuerKeyId: 'ab'.repeat(20),
  publicKeyHash: fingerprint,
});
const connected = (deviceId: string, sessionId: string, time = Date.now()) =>
  newEvent('DEVICE_CONNECTED', {
    account: 'acme',
    subject: deviceId,
    data: session(deviceId, sessionId),
    time,
  });
const disconnected = (deviceId: string, sessionId: string, reason: DisconnectReason = 'denied') =>
  newEvent('DEVICE_DISCONNECTED', {
    time: Date.now(),
    account: 'acme',
    subject: deviceId,
    data: { ...session(deviceId, sessionId), reason },
  });

describe('refusals', () => {
  const find = async (path: string, token?: string) =>
    api.call('GET', path, token === undefined ? {} : { token });

  it('are found by device and by certificate, with code and reason (F86)', async () => {
    await publish(refused('dev-1'), refused('dev-2'), refused(undefined, 'signet', 'cd'.repeat(32)));
    await vi.waitFor(async () => {
      expect(items((await find('/v1/accounts/acme/refusals')).body)).toHaveLength(2);
      expect(items((await find('/v1/accounts/signet/refusals')).body)).toHaveLength(1);
    });
    const byDevice = await find('/v1/accounts/acme/refusals?deviceId=dev-1');
    expect(items(byDevice.body)).toMatchObject([
      {
        account: 'acme',
        deviceId: 'dev-1',
        code: 'denied',
        listener: 'mqtt',
        type: 'DEVICE_REFUSED',
        count: 1,
      },
    ]);
    const byCertificate = await find(`/v1/accounts/acme/refusals?fingerprint=${'cd'.repeat(32)}`);
    expect(items(byCertificate.body)).toMatchObject([{ account: 'signet' }]);
  });

  it('F66: are not searched through all accounts for one account’s operator', async () => {
    const token = await api.tokenFor({ account: 'acme', role: 'admin' });
    const answer = await find(`/v1/accounts/acme/refusals?fingerprint=${fingerprint}`, token);
    expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(answer.body.detail).toMatch(/^fingerprint: /);
  });

  it('come page by page, the newest first', async () => {
    await publish(
      ...Array.from({ length: 5 }, (_, i) => refused(`dev-${i}`, 'acme', fingerprint, Date.now() + i)),
    );
    await vi.waitFor(async () =>
      expect(items((await find('/v1/accounts/acme/refusals')).body)).toHaveLength(5),
    );
    const seen: unknown[] = [];
    let path = '/v1/accounts/acme/refusals?limit=2';
    for (let pages = 0; pages < 5; pages++) {
      const { body } = await find(path);
      seen.push(...items(body).map(({ deviceId }) => deviceId));
      if (body.next === undefined) break;
      path = `/v1/accounts/acme/refusals?limit=2&cursor=${encodeURIComponent(String(body.next))}`;
    }
    expect(seen).toEqual(['dev-4', 'dev-3', 'dev-2', 'dev-1', 'dev-0']);
  });

  it('are counted once, however often their event is delivered', async () => {
    const event = refused('dev-1');
    await publish(event);
    const { store } = api.fixture.deps;
    const refusals = await store.collection(refusalRecords);
    await vi.waitFor(async () => expect(await refusals.count()).toBe(1));
    await using _again = await redelivery(event);
    expect(await refusals.count()).toBe(1);
  });

  it('are purged after their retention, and no sooner', async () => {
    const refusals = await api.fixture.deps.store.collection(refusalRecords);
    const now = Date.now();
    for (const age of [REFUSAL_RETENTION + 1000, REFUSAL_RETENTION - 60_000, 0]) {
      const { data, account, type } = refused(`dev-${age}`);
      const at = now - age;
      await refusals.insert({ ...data, account, type, id: uuidv7(at), at: new Date(at).toISOString() });
    }
    await purgeRefusals(refusals, now);
    expect((await refusals.find()).items.map(({ deviceId }) => deviceId)).toEqual([
      `dev-${REFUSAL_RETENTION - 60_000}`,
      'dev-0',
    ]);
  });
});

/** Hands an event to the projections as a redelivery would: a second consumer of the same handlers. */
async function redelivery(event: SignetEvent): Promise<AsyncDisposable> {
  const { bus, store } = api.fixture.deps;
  const [activities, refusals] = [
    await store.collection(deviceActivities),
    await store.collection(refusalRecords),
  ];
  const handled: Promise<void>[] = [];
  const again = {
    ...bus,
    consume: async (...[, handler]: Parameters<typeof bus.consume>) => {
      handled.push(handler(event, { attempt: 2 }));
      return { [Symbol.asyncDispose]: async () => {} };
    },
  };
  await consumeDeviceView(again, { activities, refusals });
  await Promise.all(handled);
  return { [Symbol.asyncDispose]: async () => {} };
}

describe('sessions', () => {
  const activityOf = async (deviceId: string) =>
    (await api.fixture.deps.store.collection(deviceActivities)).get(`acme/${deviceId}`);

  it('show where a device is connected, and why its session ended', async () => {
    await publish(connected('dev-1', 's1'));
    await vi.waitFor(async () =>
      expect(await activityOf('dev-1')).toMatchObject({ connected: true, node: 'broker-1', sessionId: 's1' }),
    );
    await publish(disconnected('dev-1', 's1'));
    await vi.waitFor(async () =>
      expect(await activityOf('dev-1')).toMatchObject({ connected: false, endedBy: 'denied' }),
    );
  });

  it('a takeover’s end of the old session does not end the new one', async () => {
    await publish(
      connected('dev-1', 's1'),
      connected('dev-1', 's2'),
      disconnected('dev-1', 's1', 'takeover'),
    );
    await publish(connected('dev-1', 's3'));
    await vi.waitFor(async () => expect((await activityOf('dev-1'))?.sessionId).toBe('s3'));
    expect(await activityOf('dev-1')).toMatchObject({ connected: true });
  });

  it('a beginning that is delivered again does not revive what has ended', async () => {
    const beginning = connected('dev-1', 's1');
    await publish(beginning, disconnected('dev-1', 's1'));
    await vi.waitFor(async () => expect(await activityOf('dev-1')).toMatchObject({ connected: false }));
    await using _again = await redelivery(beginning);
    expect(await activityOf('dev-1')).toMatchObject({ connected: false });
  });

  it('an older session that is told of late does not replace the newer one', async () => {
    const now = Date.now();
    await publish(
      connected('dev-1', 'new', now),
      connected('dev-1', 'old', now - 5000),
      connected('dev-2', 'x'),
    );
    await vi.waitFor(async () => expect(await activityOf('dev-2')).toBeDefined());
    await publish(disconnected('dev-1', 'new'));
    await vi.waitFor(async () =>
      expect(await activityOf('dev-1')).toMatchObject({ sessionId: 'new', connected: false }),
    );
  });
});

describe('the audit', () => {
  const entries = async (account: string) =>
    items((await api.call('GET', `/v1/accounts/${account}/audit`)).body);

  it('F64: has every call that was answered, refused ones too, with who, what, and the answer', async () => {
    const token = await api.tokenFor({ account: 'acme', role: 'viewer' });
    await api.call('GET', '/v1/accounts/acme/refusals?limit=5', { token });
    await api.call('POST', '/v1/accounts/acme/devices', { token, body: { fingerprint } });
    await api.call('GET', '/v1/accounts/acme/devices', { token: null });
    await api.call('GET', '/v1/accounts/acme/no-such-thing');
    const found = await entries('acme');
    const id = token.split('_')[1];
    expect(found.map(({ method, path, status, tokenId }) => [method, path, status, tokenId]).sort()).toEqual([
      ['GET', '/v1/accounts/acme/devices', 401, undefined],
      ['GET', '/v1/accounts/acme/refusals', 200, id],
      ['POST', '/v1/accounts/acme/devices', 403, id],
    ]);
    expect(found[0]).toMatchObject({ account: 'acme', address: '127.0.0.1' });
    const whole = await (await api.fixture.deps.store.collection(auditOf)).find({
      index: 'byAccount',
      equals: { account: '*' },
    });
    expect(whole.items.map(({ method, path, status }) => `${method} ${path} ${status}`)).toContain(
      'GET /v1/accounts/acme/no-such-thing 404',
    );
    expect(JSON.stringify([found, whole.items])).not.toContain(token.slice(-43));
  });

  it('has event streams from their beginning', async () => {
    const over = new AbortController();
    const headers = { authorization: `Bearer ${api.admin}` };
    await fetch(`${api.url}/v1/accounts/acme/events`, { headers, signal: over.signal });
    over.abort();
    expect(await entries('acme')).toMatchObject([{ path: '/v1/accounts/acme/events', status: 200 }]);
  });
});

describe('a device', () => {
  it('is shown with what answers, and says what did not', async () => {
    const { bus } = api.fixture.deps;
    await using _devices = await bus.serve(getDevice, async ({ account, deviceId = '' }) => {
      if (deviceId !== 'dev-1')
        throw new OperationError('unknown-device', `deviceId: no "${deviceId}"`, { field: 'deviceId' });
      return {
        deviceId,
        account,
        factoryAccount: account,
        fingerprint,
        deviceSerialNumber: 'SN-1',
        state: 'active' as const,
        certificate: '-----BEGIN CERTIFICATE-----\n',
        manufacturedAt: new Date().toISOString(),
      };
    });
    await using _certificates = await bus.serve(listCertificates, async () => ({ items: [] }));
    const move = { profile: 'acme.line', movedAt: new Date().toISOString(), movedBy: 'ada' };
    await using _profile = await bus.serve(getDeviceProfile, async () => ({ move }));
    await publish(refused('dev-1'), connected('dev-1', 's1'));
    await vi.waitFor(async () => {
      const { status, body } = await api.call('GET', '/v1/accounts/acme/devices/dev-1');
      expect(status).toBe(200);
      expect(body).toMatchObject({
        device: { deviceId: 'dev-1', state: 'active' },
        certificates: [],
        profile: move,
        activity: { connected: true, node: 'broker-1' },
        refusals: [{ code: 'denied' }],
        unavailable: ['provisioning'],
      });
    });
    expect(await api.call('GET', '/v1/accounts/acme/devices/dev-9')).toMatchObject({
      status: 404,
      body: { code: 'unknown-device', field: 'deviceId', detail: 'deviceId: no "dev-9"' },
    });
  });
});
