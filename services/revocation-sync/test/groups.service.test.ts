import {
  DENYLIST_DIGEST_SUBJECT,
  type DenyTarget,
  denyDevices,
  denyTargets,
  identifyDevices,
  liftDevices,
  liftTargets,
  listDenied,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { denyKey, encodeDigest, parseDigest, peerDenyKeys } from '@signet/denylist';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventOf, made, openTestFixture, peer, type TestFixture } from './authority.ts';

let fixture: TestFixture;

beforeEach(async () => {
  fixture = await openTestFixture();
});

afterEach(() => fixture[Symbol.asyncDispose]());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 5 });
const why = (kind: string) => `deny list: its ${kind} is denied`;
const fleet = (count: number, more: (n: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, n) => made(n, more(n)));
const denied = { account: 'acme', reason: 'stolen', by: 'ada' };

describe('one call for many devices', () => {
  it('F73: denies 10,000 devices by their ids, and the certificates they were made with; another call lifts them by what they have in common', async () => {
    await fixture.start();
    const devices = fleet(10_000);
    await fixture.know(devices);
    const { list, sessions } = await fixture.listener();
    const ended = Promise.withResolvers<string>();
    const last = { ...peer(1), deviceId: 'dev-9999' };
    sessions.enter({ keys: peerDenyKeys(last), notAfter: fixture.clock.now + 1e6, end: ended.resolve });
    const deviceIds = devices.map(({ deviceId }) => deviceId);
    const done = await fixture.bus.request(
      denyDevices,
      { ...denied, devices: { deviceIds } },
      { deadlineMs: 60_000 },
    );
    expect(done.devices).toBe(10_000);
    expect(await ended.promise).toBe('denied');
    await until(() => expect(list.size()).toBe(20_000));
    const lifted = await fixture.bus.request(
      liftDevices,
      { account: 'acme', by: 'ada', devices: { state: 'active' } },
      { deadlineMs: 60_000 },
    );
    expect(lifted.devices).toBe(10_000);
    await until(() => expect(list.size()).toBe(0));
  }, 120_000);

  it('F73: a group, a state and a model name devices too, and no others', async () => {
    await fixture.start();
    await fixture.know([
      ...fleet(1500, (n) => ({
        group: n % 2 === 0 ? 'line-7' : 'line-8',
        state: n % 3 === 0 ? 'active' : 'enrolled',
        model: n % 5 === 0 ? 'pump' : 'fan',
      })),
      made(9000, { account: 'other', group: 'line-7' }),
    ]);
    const { list } = await fixture.listener();
    const query = { group: 'line-7', state: 'active', model: 'pump' } as const;
    expect(await fixture.bus.request(denyDevices, { ...denied, devices: query })).toMatchObject({
      devices: 50,
    });
    await until(() => expect(list.size()).toBe(100));
    expect(list.denied({ ...peer(1), deviceId: 'dev-30' })).toBe(why('device'));
    for (const other of ['dev-31', 'dev-2', 'dev-10', 'dev-9000'])
      expect(list.denied({ ...peer(1), deviceId: other })).toBeUndefined();
    const nobody = fixture.bus.request(denyDevices, { ...denied, devices: { group: 'nobody' } });
    await expect(nobody).rejects.toMatchObject({
      code: 'unknown-device',
      message: 'devices: account "acme" has none like that',
    });
  });

  it('a device id that no device has is denied anyway, and the answer names it', async () => {
    await fixture.start();
    await fixture.know([made(1)]);
    const { list } = await fixture.listener();
    const deviceIds = ['dev-1', 'dve-2'];
    expect(await fixture.bus.request(denyDevices, { ...denied, devices: { deviceIds } })).toMatchObject({
      devices: 2,
      unknown: ['dve-2'],
    });
    await until(() => expect(list.size()).toBe(3));
    const targets: DenyTarget[] = [{ kind: 'device', account: 'acme', deviceId: 'dve-3' }];
    expect(await fixture.bus.request(denyTargets, { ...denied, targets })).toMatchObject({
      unknown: ['dve-3'],
    });
  });

  it('named devices are denied even while nobody can say which certificates they were made with', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    const call = fixture.bus.request(denyDevices, { ...denied, devices: { deviceIds: ['dev-1'] } });
    await expect(call).rejects.toMatchObject({ code: 'unavailable' });
    await until(() => expect(list.denied(peer(1))).toBe(why('device')));
  });

  it('F66: a device that another account claims in that moment is not denied by its former one', async () => {
    await fixture.start();
    const sold = { ...made(1) };
    const devices = [sold, made(2)];
    let asked = 0;
    await using _ = await fixture.bus.serve(identifyDevices, async ({ account, deviceIds, fingerprints }) => {
      const found = devices.filter(
        (device) =>
          fingerprints.includes(device.fingerprint) ||
          (device.account === account && deviceIds.includes(device.deviceId)),
      );
      const answer = { devices: found.map((device) => ({ ...device })) };
      asked += 1;
      sold.account = 'buyer';
      return answer;
    });
    const { list } = await fixture.listener();
    await fixture.bus.request(denyDevices, { ...denied, devices: { deviceIds: ['dev-1', 'dev-2'] } });
    expect(asked).toBe(2);
    await until(() => expect(list.denied({ ...peer(2), fingerprint: made(2).fingerprint })).toBeDefined());
    const { items } = await fixture.bus.request(listDenied, { account: 'acme' });
    const prints = items.flatMap(({ target }) => (target.kind === 'fingerprint' ? [target.fingerprint] : []));
    expect(prints).toEqual([made(2).fingerprint]);
  });

  it('F72: a denied bootstrap certificate denies the device that it became, and is lifted with it', async () => {
    await fixture.start();
    await fixture.know([made(1)]);
    const { list } = await fixture.listener();
    const targets: DenyTarget[] = [{ kind: 'fingerprint', fingerprint: made(1).fingerprint }];
    await fixture.bus.request(denyTargets, { ...denied, targets });
    await until(() => expect(list.denied({ ...peer(1), fingerprint: 'ee'.repeat(32) })).toBe(why('device')));
    await fixture.bus.request(liftTargets, { account: 'acme', by: 'ada', targets });
    await until(() => expect(list.size()).toBe(0));
  });
});

describe('what operators see of the deny list', () => {
  it('F62: denies by all five kinds, each with its reason and end, and finds each by name', async () => {
    await fixture.start();
    await fixture.know([]);
    const { list } = await fixture.listener();
    const { issuerKeyId, serialNumber, publicKeyHash, fingerprint } = peer(7);
    const targets: DenyTarget[] = [
      { kind: 'certificate', issuerKeyId, serialNumber },
      { kind: 'key', publicKeyHash },
      { kind: 'device', account: 'acme', deviceId: 'dev-7' },
      { kind: 'fingerprint', fingerprint },
      { kind: 'ca', subjectKeyId: issuerKeyId },
    ];
    const expiresAt = fixture.clock.now / 1000 + 600;
    for (const target of targets) {
      const asked = { account: PLATFORM_ACCOUNT, targets: [target], by: 'root', expiresAt };
      await fixture.bus.request(denyTargets, { ...asked, reason: `a ${target.kind}` });
      const found = await fixture.bus.request(listDenied, { account: PLATFORM_ACCOUNT, target });
      expect(found.items).toMatchObject([{ target, reason: `a ${target.kind}`, expiresAt }]);
      await until(() => expect(list.denied(peer(7))).toBe(why(target.kind)));
      await fixture.bus.request(liftTargets, { account: PLATFORM_ACCOUNT, targets: [target], by: 'root' });
      await until(() => expect(list.denied(peer(7))).toBeUndefined());
    }
  });

  it('is searched by names, reasons and who denied', async () => {
    await fixture.start();
    const targets: DenyTarget[] = Array.from({ length: 40 }, (_, n) => ({
      ...{ kind: 'device', account: 'acme', deviceId: `dev-${n}` },
    }));
    await fixture.bus.request(denyTargets, { ...denied, targets });
    await fixture.bus.request(denyTargets, {
      ...denied,
      reason: 'Lost in Oslo',
      targets: targets.slice(0, 3),
    });
    const search = async (text: string, account = 'acme') => {
      const names: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await fixture.bus.request(listDenied, {
          ...{ account, text, limit: 7 },
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const { target } of page.items) if (target.kind === 'device') names.push(target.deviceId);
        cursor = page.next;
      } while (cursor !== undefined);
      return names.sort();
    };
    expect(await search('oslo')).toEqual(['dev-0', 'dev-1', 'dev-2']);
    expect(await search('DEV-3')).toHaveLength(11);
    expect(await search('operator ada')).toHaveLength(40);
    expect(await search('operator ada', 'other')).toEqual([]);
    expect(await search('operator ada', PLATFORM_ACCOUNT)).toHaveLength(40);
  });

  it('says what stays denied although it was lifted, and why', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    await fixture.publish(eventOf('DEVICE_RETIRED', 1, { reason: 'scrapped' }, 4));
    const targets: DenyTarget[] = [{ kind: 'device', account: 'acme', deviceId: 'dev-1' }];
    await fixture.bus.request(denyTargets, { ...denied, targets });
    await until(() => expect(list.denied(peer(1))).toBe(why('device')));
    const lifted = await fixture.bus.request(liftTargets, { account: 'acme', by: 'ada', targets });
    expect(lifted.stillDenied).toEqual([
      { target: targets[0], reason: 'scrapped', source: 'DEVICE_RETIRED' },
    ]);
  });
});

describe('the digest', () => {
  it('is said by each replica of the authority, and every listener agrees with it', async () => {
    const said: string[] = [];
    await using _subscription = await fixture.bus.listen(DENYLIST_DIGEST_SUBJECT, ({ payload }) => {
      const digest = parseDigest(payload);
      if (digest !== undefined) said.push(digest.digest);
    });
    await fixture.start();
    const targets: DenyTarget[] = [{ kind: 'device', account: 'acme', deviceId: 'dev-1' }];
    await fixture.bus.request(denyTargets, { ...denied, targets });
    const { list } = await fixture.listener();
    await fixture.start();
    await until(() => expect(said).toHaveLength(2));
    expect(said[0]).toBe('0'.repeat(16));
    expect(said[1]).not.toBe(said[0]);
    expect(list.mismatch()).toBeUndefined();
    const foreign = { number: 1, horizon: Math.floor(fixture.clock.now / 3_600_000) * 3600 };
    const payload = encodeDigest({ ...foreign, digest: 'f'.repeat(16) });
    await fixture.bus.send(DENYLIST_DIGEST_SUBJECT, payload);
    await until(async () => {
      const { checks } = await fixture.health.report();
      expect(checks['revocation-sync.digest']).toEqual({
        ok: true,
        reason: 'deny list: at change 1 two replicas of its authority differ',
      });
    });
    await until(() => expect(list.denied(peer(1))).toBe(why('device')));
    expect(denyKey(targets[0] as DenyTarget)).toMatch(/^[0-9a-f]{32}$/);
  });
});
