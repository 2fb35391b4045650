import { changeCrlSource, type WhenStale } from '@signet/contracts';
import { type DenyList, peerDenyKeys, type SessionIndex } from '@signet/denylist';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CrlFixture, DENIED, MAKER, openCrlFixture, until } from './crl-fixture.ts';

let crls: CrlFixture;
let list: DenyList;
let sessions: SessionIndex;
beforeEach(async () => {
  crls = await openCrlFixture();
  await crls.start();
  ({ list, sessions } = await crls.fixture.listener());
});
afterEach(() => crls[Symbol.asyncDispose]());

const DAY_MS = 86_400_000;
const REFUSED = 'deny list: its ca is denied';
const events = () => crls.events.filter(({ type }) => type !== 'CRL_SOURCE_CHANGED');
const stale = (whenStale: WhenStale) => ({
  type: 'CRL_SOURCE_STALE',
  data: { source: 'maker', whenStale },
});
const fresh = { type: 'CRL_SOURCE_FRESH', data: { source: 'maker' } };
const warning = async () =>
  (await crls.fixture.health.report()).checks['revocation-sync.crl-sources']?.reason;

/** A complete CRL for a month, and a delta for a week. */
async function follow(whenStale: WhenStale) {
  await crls.add({ whenStale });
  const entries = [{ serialNumber: '77' }];
  await crls.upload(await crls.ca.list({ number: 10, days: 30, entries }));
  const more = [{ serialNumber: '78' }];
  await crls.upload(await crls.ca.list({ number: 11, baseNumber: 10, days: 7, entries: more }));
  await until(() => expect(list.size()).toBe(2));
}

/** A device that is not listed, with a session. */
function liveSession() {
  const facts = crls.foreign('99');
  let ended = false;
  const end = () => {
    ended = true;
  };
  sessions.enter({ keys: peerDenyKeys(facts), notAfter: crls.fixture.clock.now + 1e12, end });
  return { facts, isEnded: () => ended };
}

describe('a source whose CRL is past its end', () => {
  it('F30: `refuse-new`: at the end of its delta new sessions of its CA are refused, live ones stay; a new CRL lifts that', async () => {
    await follow('refuse-new');
    const { facts, isEnded } = liveSession();
    expect(list.denied(facts)).toBeUndefined();
    crls.fixture.clock.now += 6 * DAY_MS;
    await until(async () => expect(await warning()).toBeUndefined());
    expect(list.denied(facts)).toBeUndefined();
    crls.fixture.clock.now += 2 * DAY_MS;
    await until(() => expect(list.denied(facts)).toBe(REFUSED));
    expect(isEnded()).toBe(false);
    await until(() => expect(events()).toEqual([stale('refuse-new')]));
    expect(await warning()).toBe('CRL sources past their end: acme.maker');
    const next = await crls.ca.list({ number: 12, days: 30, entries: [{ serialNumber: '77' }] });
    const source = await crls.upload(next);
    expect(source.staleSince).toBeUndefined();
    await until(() => expect(list.denied(facts)).toBeUndefined());
    expect(list.denied(crls.foreign('77'))).toBe(DENIED);
    await until(() => expect(events()).toEqual([stale('refuse-new'), fresh]));
    expect(await warning()).toBeUndefined();
  });

  it('F30: `alarm`: tells, and refuses nobody', async () => {
    await follow('alarm');
    const { facts } = liveSession();
    crls.fixture.clock.now += 8 * DAY_MS;
    await until(() => expect(events()).toEqual([stale('alarm')]));
    expect(await warning()).toBe('CRL sources past their end: acme.maker');
    expect(list.denied(facts)).toBeUndefined();
    expect(list.denied(crls.foreign('78'))).toBe(DENIED);
  });

  it('F30: `go-on`: neither alarms nor refuses; what is listed stays denied', async () => {
    await follow('go-on');
    const { facts } = liveSession();
    crls.fixture.clock.now += 8 * DAY_MS;
    await until(async () => expect((await crls.source()).staleSince).toBeDefined());
    expect(await warning()).toBeUndefined();
    expect(events()).toEqual([]);
    expect(list.denied(facts)).toBeUndefined();
    expect(list.denied(crls.foreign('77'))).toBe(DENIED);
  });

  it('a policy that is changed takes effect at once, either way', async () => {
    await follow('alarm');
    const { facts } = liveSession();
    crls.fixture.clock.now += 8 * DAY_MS;
    await until(() => expect(events()).toEqual([stale('alarm')]));
    const change = (whenStale: WhenStale) =>
      crls.whenFree(() => crls.fixture.bus.request(changeCrlSource, { ...MAKER, whenStale, by: 'ada' }));
    expect(await change('refuse-new')).toMatchObject({ whenStale: 'refuse-new' });
    await until(() => expect(list.denied(facts)).toBe(REFUSED));
    await change('alarm');
    await until(() => expect(list.denied(facts)).toBeUndefined());
    await until(() => expect(events()).toEqual([stale('alarm'), stale('refuse-new'), stale('alarm')]));
  });

  it('one partition past its end makes the source stale, however fresh the others are', async () => {
    const partition = async (name: string, days: number) =>
      crls.ca.list({ number: 10, days, scope: `http://crl.maker.example/${name}.crl`, entries: [] });
    await crls.add({ whenStale: 'refuse-new' });
    await crls.upload(await partition('a', 30));
    await crls.upload(await partition('b', 7));
    const { facts } = liveSession();
    crls.fixture.clock.now += 8 * DAY_MS;
    await until(() => expect(list.denied(facts)).toBe(REFUSED));
    await crls.remove();
    await until(() => expect(list.denied(facts)).toBeUndefined());
  });
});
