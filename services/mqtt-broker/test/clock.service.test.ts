import { newEvent, PLATFORM_ACCOUNT } from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import { createLogger } from '@signet/service';
import type { FixtureOptions } from '@signet/service/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, closeOf, openBrokerFixture, until } from './fixture.ts';

const DAY = 86_400_000;

let broker: BrokerFixture;
let ahead = 0;
const lines: string[] = [];
afterEach(() => broker[Symbol.asyncDispose]());

/** A broker whose clock the test sets. */
async function open(admission: FixtureOptions['admission'] = { refuseWhenStale: false }): Promise<void> {
  ahead = 0;
  lines.length = 0;
  const destination = { write: (line: string) => void lines.push(line) };
  broker = await openBrokerFixture({
    now: () => Date.now() + ahead,
    log: createLogger({ service: 'test', level: 'info', destination }),
    ...(admission === undefined ? {} : { admission }),
  });
}

const identityOf = (deviceId: string) => broker.fixture.pki.operational('acme', deviceId);
const refused = (code: string) => broker.event('DEVICE_REFUSED', ({ data }) => data.code === code);
const left = (deviceId: string) =>
  broker.event('DEVICE_DISCONNECTED', ({ data }) => data.deviceId === deviceId);

describe('a broker that is cut off from the deny list authority', () => {
  it('goes on admitting for the bound; then it refuses new sessions, keeps those that live, and says so in log, event, metrics and readiness; it recovers by itself', async () => {
    await open({ staleAfterMs: 30_000 });
    await broker.fixture.denyAuthority.sendHead();
    await until(async () => expect((await broker.fixture.deps.health.report()).ready).toBe(true));
    const live = await broker.connected(identityOf('dev-1'));
    ahead = 25_000;
    await broker.connected(identityOf('dev-2'));

    ahead = 120_000;
    expect(await broker.refusal(identityOf('dev-3'))).toBe(3);
    const { data } = await refused('denylist-stale');
    expect(data.message).toMatch(/^deny list: behind its authority for \d{3} s \(holds 0, head 0\)$/);
    const { ready, checks } = await broker.fixture.deps.health.report();
    expect({ ready, reason: checks['deny-list']?.reason }).toEqual({
      ready: false,
      reason: expect.stringContaining('behind its authority'),
    });
    const metrics = await broker.fixture.exposition();
    expect(metrics).toMatch(/signet_refusals_total\{[^}]*code="denylist-stale"[^}]*\} 1$/m);
    expect(Number(/^signet_denylist_lag_seconds(?:\{.*\})? (\S+)$/m.exec(metrics)?.[1])).toBeGreaterThan(100);
    expect(lines.some((line) => line.includes('refused: denylist-stale'))).toBe(true);
    await live.publishAsync('d/acme/dev-1/up/x', 'still here', { qos: 1 });

    await broker.fixture.denyAuthority.sendHead();
    await until(async () => expect((await broker.fixture.deps.health.report()).ready).toBe(true));
    await broker.connected(identityOf('dev-3'));
    expect(live.connected).toBe(true);
  });

  it('is brought up to date when it is back: who was denied meanwhile is cut', async () => {
    await open({ staleAfterMs: 30_000 });
    await broker.fixture.denyAuthority.sendHead();
    const live = await broker.connected(identityOf('dev-1'));
    const other = await broker.connected(identityOf('dev-2'));
    ahead = 120_000;
    expect(await broker.refusal(identityOf('dev-3'))).toBe(3);
    const closed = closeOf(live);
    await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
    await closed;
    expect((await left('dev-1')).data.reason).toBe('denied');
    await broker.connected(identityOf('dev-3'));
    expect(other.connected).toBe(true);
  });
});

describe('a clock that is set', () => {
  it('F78: forward by a year: sessions whose certificates are past end with the next connection, nobody is let in by them', async () => {
    await open();
    const client = await broker.connected(identityOf('dev-1'));
    const long = broker.fixture.pki.operational('acme', 'dev-2', { notAfter: Date.now() + 400 * DAY });
    const other = await broker.connected(long);
    const closed = closeOf(client);
    ahead = 365 * DAY;
    expect(await broker.refusal(identityOf('dev-3'))).toBe(5);
    await closed;
    expect((await left('dev-1')).data.reason).toBe('expired');
    expect((await refused('expired')).data.deviceId).toBe('dev-3');
    expect(other.connected).toBe(true);
    await broker.connected(long);
  });

  it('back by a day: who has a certificate that is not valid yet is told to come again, and sessions that live go on', async () => {
    await open();
    const client = await broker.connected(identityOf('dev-1'));
    ahead = -DAY;
    expect(await broker.refusal(identityOf('dev-2'))).toBe(3);
    await refused('not-yet-valid');
    await client.publishAsync('d/acme/dev-1/up/x', 'still here', { qos: 1 });
    ahead = 0;
    await broker.connected(identityOf('dev-2'));
  });

  it.each([
    ['forward by a year and back', 365 * DAY],
    ['back by a day and forward', -DAY],
  ])('%s: who is denied stays denied, be its entry past by that clock or not', async (_, jump) => {
    await open();
    const key = denyKey({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
    const expiresAt = Math.floor((Date.now() + 30 * DAY) / 1000);
    const add = [{ key, kind: 'device' as const, reason: 'stolen', expiresAt }];
    const facts = { account: PLATFORM_ACCOUNT, subject: 'denylist', time: Date.now() };
    const data = { number: 1, add, lift: [] };
    await broker.fixture.deps.bus.publish([newEvent('DENYLIST_CHANGED', { ...facts, data })]);
    await until(() => expect(broker.fixture.deps.admission.denyList.number()).toBe(1));
    for (const at of [0, jump, 0]) {
      ahead = at;
      // before its certificate begins, by that clock, it may come again
      expect(await broker.refusal(identityOf('dev-1'))).toBe(at < 0 ? 3 : 5);
    }
    expect((await refused('denied')).data.deviceId).toBe('dev-1');
    expect(broker.fixture.deps.admission.denyList.size()).toBe(1);
  });

  it('F78: a session ends at the greatest age that is set, and its device connects anew', async () => {
    await open({ refuseWhenStale: false, maxSessionMs: 3_600_000 });
    const client = await broker.connected(identityOf('dev-1'), { clean: false });
    await client.subscribeAsync('d/acme/dev-1/down/#', { qos: 1 });
    const closed = closeOf(client);
    ahead = 3_600_001;
    await broker.connected(identityOf('dev-2'));
    await closed;
    expect((await left('dev-1')).data.reason).toBe('expired');
    await broker.connected(identityOf('dev-1'), { clean: false });
  });
});
