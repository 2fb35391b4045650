import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sourceRecords } from '../src/collections.ts';
import { judgeCrl } from '../src/domain/crl/judge-crl.ts';
import { type CrlFixture, DENIED, openCrlFixture, until } from './crl-fixture.ts';
import { oddCrl } from './odd-crl.ts';

let crls: CrlFixture;
beforeEach(async () => {
  crls = await openCrlFixture();
});
afterEach(() => crls[Symbol.asyncDispose]());

const HOUR_MS = 3_600_000;

/** A source that serves what is made here. */
async function following() {
  await crls.start();
  const { list } = await crls.fixture.listener();
  let served: Buffer = Buffer.alloc(0);
  crls.serve(() => served);
  const serve = async (serials: readonly string[], number: number | 'none', ageHours: number) => {
    const thisUpdate = Date.now() - ageHours * HOUR_MS;
    served = await oddCrl(
      crls.ca,
      serials.map((serialNumber) => ({ serialNumber, revokedAt: Date.now() - 100 * HOUR_MS })),
      { number, thisUpdate },
    );
  };
  return { list, serve };
}

describe('a CRL without a number', () => {
  it('shuts out no numbered one after it: a device that is revoked later is denied', async () => {
    const { list, serve } = await following();
    await serve(['71'], 'none', 3);
    await crls.add({ urls: [`${crls.url}/a.crl`] });
    const { parts } = await crls.fetch();
    expect(parts[0]).toMatchObject({ entries: 1 });
    expect(parts[0]).not.toHaveProperty('number');
    await until(() => expect(list.denied(crls.foreign('71'))).toBe(DENIED));

    await serve(['71', '72'], 5, 2);
    expect((await crls.fetch()).parts[0]).toMatchObject({ number: '5', entries: 2 });
    await until(() => expect(list.denied(crls.foreign('72'))).toBe(DENIED));

    await serve(['71', '72', '73'], 'none', 1);
    expect((await crls.fetch()).parts[0]).toMatchObject({ entries: 3 });
    await until(() => expect(list.denied(crls.foreign('73'))).toBe(DENIED));
    const changes = crls.events.filter(({ type }) => type === 'CRL_SOURCE_CHANGED');
    expect(changes.map(({ data }) => data.number)).toEqual([undefined, '5', undefined]);
    expect(crls.told.map(({ number }) => number)).toEqual([undefined, '5', undefined]);
  });

  it('that is older than the one here changes nothing, and the source says what was refused and why', async () => {
    const { list, serve } = await following();
    await serve(['71', '72'], 5, 1);
    await crls.add({ urls: [`${crls.url}/a.crl`] });
    expect((await crls.fetch()).parts[0]).toMatchObject({ number: '5' });
    await serve(['71'], 'none', 2);
    const { parts } = await crls.fetch();
    expect(parts[0]).toMatchObject({ number: '5', entries: 2 });
    expect(parts[0]?.error).toMatchObject({
      code: 'older-update',
      message: expect.stringMatching(
        /^thisUpdate: \S+Z is older than \S+Z, and one of the two has no cRLNumber$/,
      ),
    });
    await until(() => expect(list.denied(crls.foreign('72'))).toBe(DENIED));
  });

  it('that 0.1.0 stored with its time for a number is followed by numbered ones too', () => {
    const thisUpdate = '2026-11-01T10:00:00.000Z';
    const madeUp = String(Date.parse(thisUpdate) / 1000);
    const [migration] = sourceRecords.migrations;
    if (migration === undefined) expect.unreachable();
    const part = { name: 'a', entries: 1, number: madeUp, completeNumber: madeUp, thisUpdate };
    const numbered = { name: 'b', entries: 1, number: '9', completeNumber: '9', thisUpdate };
    const migrated = migration.document({ id: 'acme.maker', parts: [part, numbered] });
    expect(migrated).toEqual({
      id: 'acme.maker',
      parts: [{ name: 'a', entries: 1, thisUpdate }, numbered],
    });
    const now = Date.parse(thisUpdate) + 2 * HOUR_MS;
    const head = { thisUpdate: now - HOUR_MS, number: 3n, unknownCritical: [] };
    const judged = judgeCrl(head as never, { name: 'a', entries: 1, thisUpdate }, now);
    expect(judged).toEqual({ kind: 'complete' });
  });
});
