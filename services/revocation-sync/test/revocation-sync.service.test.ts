import {
  type DenyTarget,
  denylistChanges,
  denylistSnapshot,
  denyTargets,
  liftTargets,
  listDenied,
  PLATFORM_ACCOUNT,
  type SignetEvent,
} from '@signet/contracts';
import { denyKey, peerDenyKeys } from '@signet/denylist';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventOf, openTestFixture, peer, type TestFixture } from './authority.ts';

let fixture: TestFixture;

beforeEach(async () => {
  fixture = await openTestFixture();
});

afterEach(() => fixture[Symbol.asyncDispose]());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const device = (n: number, account = 'acme'): DenyTarget => ({
  kind: 'device',
  account,
  deviceId: `dev-${n}`,
});
const why = (kind: string) => `deny list: its ${kind} is denied`;

async function allChanges(fixture: TestFixture) {
  const { changes } = await fixture.bus.request(denylistChanges, { from: 1, to: 1_000_000 });
  return changes;
}

async function deny(fixture: TestFixture, targets: DenyTarget[], account = 'acme') {
  return (await fixture.bus.request(denyTargets, { account, targets, reason: 'stolen', by: 'ada' })).number;
}

describe('events that shut devices out', () => {
  it('F77: a revoked certificate ends its session at every listener when the change is made, not when heads are said', async () => {
    await fixture.start();
    const listeners = [await fixture.listener(), await fixture.listener()];
    const took: number[] = [];
    for (let n = 1; n <= 5; n++) {
      const ended = listeners.map(({ sessions }) => {
        const end = Promise.withResolvers<string>();
        const notAfter = fixture.clock.now + 3_600_000;
        sessions.enter({ keys: peerDenyKeys(peer(n)), notAfter, end: end.resolve });
        return end.promise;
      });
      const started = performance.now();
      await fixture.publish(eventOf('CERT_REVOKED', n, { reason: 'keyCompromise' }));
      expect(await Promise.all(ended)).toEqual(['denied', 'denied']);
      took.push(performance.now() - started);
    }
    // heads are said every 5 s; how fast it is on a machine that is not busy, the bench says
    expect(took.toSorted((a, b) => a - b)[2]).toBeLessThan(2500);
    for (const { list } of listeners) {
      expect(list.denied(peer(1))).toBe(why('certificate'));
      expect(list.denied(peer(6))).toBeUndefined();
    }
  });

  it('F39: a certificate revoked as superseded is denied until a day past its notAfter', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    await fixture.publish(eventOf('CERT_REVOKED', 1, { reason: 'superseded' }));
    await until(() => expect(list.denied(peer(1))).toBe(why('certificate')));
    const [change] = await allChanges(fixture);
    expect(change?.add[0]?.expiresAt).toBe(Date.parse('2027-03-02T00:00:00Z') / 1000);
    fixture.clock.now = Date.parse('2027-03-01T23:59:59Z');
    expect(list.denied(peer(1))).toBe(why('certificate'));
    fixture.clock.now = Date.parse('2027-03-02T00:00:00Z');
    expect(list.denied(peer(1))).toBeUndefined();
  });

  it('F72: a blocked device is denied by its fingerprint and by what it became; unblocked, by neither', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    await fixture.publish(eventOf('DEVICE_BLOCKED', 1, { reason: 'stolen' }, 3));
    const operational = { ...peer(1), fingerprint: 'ee'.repeat(32) };
    const bootstrap = { ...peer(1), account: undefined, deviceId: undefined };
    await until(() => expect(list.denied(operational)).toBe(why('device')));
    expect(list.denied(bootstrap)).toBe(why('fingerprint'));
    await fixture.publish(eventOf('DEVICE_UNBLOCKED', 1, {}, 4));
    await until(() => expect(list.denied(operational)).toBeUndefined());
    expect(list.denied(bootstrap)).toBeUndefined();
  });

  it('F61: an unclaimed device is denied by its fingerprint alone', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    await fixture.publish(eventOf('DEVICE_BLOCKED', 1, { reason: 'lost', account: undefined }));
    const bootstrap = { ...peer(1), account: undefined, deviceId: undefined };
    await until(() => expect(list.denied(bootstrap)).toBe(why('fingerprint')));
    expect(list.denied({ ...peer(1), fingerprint: 'ee'.repeat(32) })).toBeUndefined();
  });

  it('a retired device stays denied, although it was unblocked before', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    await fixture.publish(eventOf('DEVICE_BLOCKED', 1, { reason: 'lost' }, 3));
    await fixture.publish(eventOf('DEVICE_RETIRED', 1, { reason: 'scrapped' }, 5));
    await fixture.publish(eventOf('DEVICE_UNBLOCKED', 1, {}, 4));
    await until(() => expect(list.number()).toBe(3));
    expect(list.denied(peer(1))).toBe(why('device'));
  });

  it('F49: a disabled or revoked CA denies all its devices, and admits them when it is active again', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    for (const state of ['disabled', 'revoked'] as const) {
      await fixture.publish(eventOf('CA_CHANGED', 1, { state }));
      await until(() => expect(list.denied(peer(7))).toBe(why('ca')));
      await fixture.publish(eventOf('CA_CHANGED', 1, { state: 'active' }));
      await until(() => expect(list.denied(peer(7))).toBeUndefined());
    }
  });

  it('are idempotent: delivered again, they make no change; a block that comes after its unblock neither', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    const blocked = eventOf('DEVICE_BLOCKED', 1, { reason: 'lost' }, 3);
    const revoked = eventOf('CERT_REVOKED', 2, { reason: 'unspecified' }, 9);
    for (const event of [blocked, blocked, revoked, revoked]) await fixture.publish(event);
    await fixture.publish(eventOf('DEVICE_UNBLOCKED', 1, {}, 4));
    await until(() => expect(list.number()).toBe(3));
    await fixture.publish({ ...blocked, id: revoked.id.replace(/.$/, 'f') } as SignetEvent);
    await fixture.publish(eventOf('CERT_REVOKED', 3, { reason: 'unspecified' }));
    await until(() => expect(list.denied(peer(3))).toBe(why('certificate')));
    expect(list.denied(peer(1))).toBeUndefined();
    const fingerprint = denyKey({ kind: 'fingerprint', fingerprint: peer(1).fingerprint });
    const changes = await allChanges(fixture);
    expect(changes.filter(({ add }) => add.some(({ key }) => key === fingerprint))).toHaveLength(1);
  });
});

describe('what operators deny', () => {
  it('F73: one call denies a group; one lifts it again', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    const group = Array.from({ length: 200 }, (_, n) => device(n));
    expect(await deny(fixture, group)).toBe(1);
    expect(await deny(fixture, group)).toBe(1);
    await until(() => expect(list.size()).toBe(200));
    const lifted = await fixture.bus.request(liftTargets, { account: 'acme', targets: group, by: 'ada' });
    expect(lifted.number).toBe(2);
    await until(() => expect(list.size()).toBe(0));
  });

  it('is not lifted by an unblocking, and lifting it does not undo a revocation', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    await deny(fixture, [device(1)]);
    await fixture.publish(eventOf('DEVICE_BLOCKED', 1, { reason: 'lost' }, 3));
    await until(() => expect(list.number()).toBe(2));
    await fixture.publish(eventOf('DEVICE_UNBLOCKED', 1, {}, 4));
    await until(() => expect(list.number()).toBe(3));
    expect(list.denied(peer(1))).toBe(why('device'));

    await fixture.publish(eventOf('CERT_REVOKED', 2, { reason: 'unspecified' }));
    await until(() => expect(list.denied(peer(2))).toBe(why('certificate')));
    const { issuerKeyId, serialNumber } = peer(2);
    const targets: DenyTarget[] = [{ kind: 'certificate', issuerKeyId, serialNumber }];
    await fixture.bus.request(liftTargets, { account: 'acme', targets, by: 'ada' });
    expect(list.denied(peer(2))).toBe(why('certificate'));
  });

  it('ends when the operator said it would', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    const expiresAt = fixture.clock.now / 1000 + 60;
    const request = { account: 'acme', targets: [device(1)], reason: 'hold', by: 'ada', expiresAt };
    await fixture.bus.request(denyTargets, request);
    await until(() => expect(list.denied(peer(1))).toBe(why('device')));
    fixture.clock.now += 60_000;
    expect(list.denied(peer(1))).toBeUndefined();
    const { items } = await fixture.bus.request(listDenied, { account: 'acme' });
    expect(items).toEqual([]);
  });

  it('F66: is no device of another account, and no whole CA', async () => {
    await fixture.start();
    await expect(deny(fixture, [device(1), device(1, 'other')])).rejects.toMatchObject({
      code: 'invalid-input',
      field: 'targets.1.account',
      message: 'targets.1.account: not the account "acme" that asks',
    });
    const ca: DenyTarget = { kind: 'ca', subjectKeyId: 'ca'.repeat(20) };
    await expect(deny(fixture, [ca])).rejects.toMatchObject({
      code: 'invalid-input',
      field: 'targets.0.kind',
      message: 'targets.0.kind: only the platform denies a whole CA',
    });
    expect(await deny(fixture, [ca], PLATFORM_ACCOUNT)).toBe(1);
  });

  it('F66: is not lifted by another account', async () => {
    await fixture.start();
    const { list } = await fixture.listener();
    const key: DenyTarget = { kind: 'key', publicKeyHash: peer(1).publicKeyHash };
    await deny(fixture, [key]);
    await fixture.bus.request(liftTargets, { account: 'other', targets: [key], by: 'eve' });
    await until(() => expect(list.denied(peer(1))).toBe(why('key')));
    expect(await allChanges(fixture)).toHaveLength(1);
  });

  it('is listed page by page, by account and kind, with who denied what and why', async () => {
    await fixture.start();
    await deny(
      fixture,
      Array.from({ length: 25 }, (_, n) => device(n)),
    );
    await deny(fixture, [{ kind: 'key', publicKeyHash: 'ab'.repeat(32) }]);
    await deny(fixture, [device(1, 'other')], 'other');
    await until(async () => {
      const { items } = await fixture.bus.request(listDenied, { account: 'acme', limit: 1000 });
      expect(items).toHaveLength(26);
    });
    const names = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await fixture.bus.request(listDenied, {
        ...{ account: 'acme', kind: 'device' as const, limit: 10 },
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { target } of page.items) if (target.kind === 'device') names.add(target.deviceId);
      cursor = page.next;
    } while (cursor !== undefined);
    expect(names.size).toBe(25);
    const { items } = await fixture.bus.request(listDenied, { account: 'acme', kind: 'key' });
    expect(items).toEqual([
      {
        key: denyKey({ kind: 'key', publicKeyHash: 'ab'.repeat(32) }),
        kind: 'key',
        target: { kind: 'key', publicKeyHash: 'ab'.repeat(32) },
        reason: 'stolen',
        source: 'operator ada',
        since: '2027-01-01T00:00:00.000Z',
        expiresAt: 0,
      },
    ]);
  });
});

describe('replicas of the authority', () => {
  it('F12: two of them number concurrent changes without a gap, and hold the same', async () => {
    await fixture.start();
    await fixture.start();
    const { list } = await fixture.listener();
    const calls = Array.from({ length: 120 }, (_, n) => deny(fixture, [device(n)]));
    const events = Array.from({ length: 60 }, (_, n) =>
      fixture.publish(eventOf('CERT_REVOKED', n, { reason: 'unspecified' })),
    );
    const numbers = await Promise.all(calls);
    await Promise.all(events);
    await until(() => expect(list.size()).toBe(180));
    const changes = await allChanges(fixture);
    expect(changes.map(({ number }) => number)).toEqual(changes.map((_, index) => index + 1));
    expect(Math.max(...numbers)).toBeLessThanOrEqual(changes.length);
    expect(list.number()).toBe(changes.length);
    expect(list.state()).toBe('current');
    // Requests are shared among the replicas: each of them comes to hold the whole list.
    await until(async () => {
      for (let i = 0; i < 4; i++) {
        const page = await fixture.bus.request(denylistSnapshot, {});
        expect(page.number).toBe(changes.length);
        expect(Buffer.from(page.entries, 'base64').byteLength).toBe(180 * 20);
      }
    });
  });

  it('each decide on what the others did: a denial through one is lifted through the other', async () => {
    await fixture.start();
    await fixture.start();
    const { list } = await fixture.listener();
    for (let round = 0; round < 6; round++) {
      await deny(fixture, [device(1)]);
      await until(() => expect(list.denied(peer(1))).toBe(why('device')));
      await fixture.bus.request(liftTargets, { account: 'acme', targets: [device(1)], by: 'ada' });
      await until(() => expect(list.denied(peer(1))).toBeUndefined());
    }
    expect(await allChanges(fixture)).toHaveLength(12);
  });

  it('a new one starts with all that was denied and lifted before', async () => {
    const first = await fixture.start();
    await deny(
      fixture,
      Array.from({ length: 50 }, (_, n) => device(n)),
    );
    await fixture.bus.request(liftTargets, { account: 'acme', targets: [device(3)], by: 'ada' });
    await first[Symbol.asyncDispose]();
    await fixture.start();
    const { list } = await fixture.listener();
    expect(list.number()).toBe(2);
    expect(list.size()).toBe(49);
    expect(list.denied(peer(3))).toBeUndefined();
    expect(await deny(fixture, [device(3)])).toBe(3);
  });

  it('F13: one that ended between the change and its entries loses nothing', async () => {
    const first = await fixture.start();
    await deny(fixture, [device(1)]);
    await first[Symbol.asyncDispose]();
    const entries = await fixture.store.collection((await import('../src/collections.ts')).entryRecords);
    const progress = await fixture.store.collection((await import('../src/collections.ts')).progressRecords);
    await entries.remove(denyKey(device(1)));
    await progress.update('entries', () => ({ document: { id: 'entries', number: 0 } }));
    await fixture.start();
    const { list } = await fixture.listener();
    expect(list.denied(peer(1))).toBe(why('device'));
    const { items } = await fixture.bus.request(listDenied, { account: 'acme' });
    expect(items).toHaveLength(1);
  });

  it('say their head after each change, and at the start', async () => {
    const { DENYLIST_HEAD_SUBJECT } = await import('@signet/contracts');
    const { parseHead } = await import('@signet/denylist');
    const heads: (number | undefined)[] = [];
    await using _subscription = await fixture.bus.listen(DENYLIST_HEAD_SUBJECT, ({ payload }) => {
      heads.push(parseHead(payload)?.number);
    });
    await fixture.start();
    await until(() => expect(heads).toContain(0));
    await deny(fixture, [device(1)]);
    await until(() => expect(heads).toContain(1));
  });
});

describe('the snapshot', () => {
  it('comes in pages, and never claims more than it holds', async () => {
    await fixture.start();
    for (let i = 0; i < 17; i++)
      await deny(
        fixture,
        Array.from({ length: 1000 }, (_, n) => device(i * 1000 + n)),
      );
    const seen = new Set<string>();
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await fixture.bus.request(denylistSnapshot, cursor === undefined ? {} : { cursor });
      const records = Buffer.from(page.entries, 'base64');
      for (let at = 0; at < records.length; at += 20) seen.add(records.toString('hex', at, at + 16));
      expect(page.number).toBeLessThanOrEqual(17);
      cursor = page.next;
      pages++;
    } while (cursor !== undefined);
    expect(pages).toBe(2);
    expect(seen.size).toBe(17_000);
    const { list } = await fixture.listener();
    expect(list.size()).toBe(17_000);
  }, 60_000);

  it('refuses a cursor that is none', async () => {
    await fixture.start();
    await expect(fixture.bus.request(denylistSnapshot, { cursor: 'zz' })).rejects.toMatchObject({
      code: 'invalid-input',
      field: 'cursor',
      message: 'cursor: none of a snapshot',
    });
  });
});
