import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCertificateId, parseCertificateId } from './renewal-info.ts';
import { type Renewable, spreadRenewals } from './renewal-schedule.ts';
import { dueAt, renewalTime, spreadDueAt } from './renewal-times.ts';

const DAY = 86_400_000;
const from = Date.UTC(2026, 0, 1);

const fleets = fc.uniqueArray(
  fc.record({
    serialNumber: fc.stringMatching(/^[1-9a-f][0-9a-f]{31}$/),
    dueAt: fc.integer({ min: from - 10 * DAY, max: from + 600_000 }),
    notAfter: fc.constant(from + 90 * DAY),
  }),
  { selector: ({ serialNumber }) => serialNumber, maxLength: 400 },
);

/** As many certificates as there is no room for at once: made when they are read. */
function* bigFleet(count: number, notAfter: number): Generator<Renewable> {
  for (let i = 0; i < count; i++) {
    const serialNumber = createHash('md5').update(`${i}`).digest('hex');
    yield { serialNumber, dueAt: from, notAfter };
  }
}

describe('F82: a fleet that is told when to renew', () => {
  it('comes at no more than the set rate in any one second, none before it is due', async () => {
    await fc.assert(
      fc.asyncProperty(fleets, fc.integer({ min: 1, max: 20 }), async (fleet, perSecond) => {
        const schedule = await spreadRenewals(() => fleet, { perSecond, from });
        const times = fleet.map((one) => ({ due: one.dueAt, time: schedule.timeOf(one) }));
        const seconds = Map.groupBy(times, ({ time }) => Math.floor(time / 1000));
        for (const arrivals of seconds.values()) expect(arrivals.length).toBeLessThanOrEqual(perSecond);
        for (const { due, time } of times) expect(time).toBeGreaterThanOrEqual(Math.max(due, from));
      }),
    );
  });

  it('gets the same times from every replica, in whatever order that read the fleet', async () => {
    await fc.assert(
      fc.asyncProperty(fleets, async (fleet) => {
        const options = { perSecond: 3, from };
        const one = await spreadRenewals(() => fleet, options);
        const other = await spreadRenewals(() => fleet.toReversed(), options);
        for (const certificate of fleet) expect(other.timeOf(certificate)).toBe(one.timeOf(certificate));
      }),
    );
  });

  it('is read page by page and not kept: fifty thousand that fall due together are through at nine tenths of the rate', async () => {
    const count = 50_000;
    const fleet = () => bigFleet(count, from + 30 * DAY);
    const schedule = await spreadRenewals(fleet, { perSecond: 50, from });
    expect(schedule.cells).toBeLessThan(count / 3);
    const arrivals = new Map<number, number>();
    for (const one of fleet()) {
      const time = schedule.timeOf(one);
      arrivals.set(time, (arrivals.get(time) ?? 0) + 1);
    }
    expect(Math.max(...arrivals.values())).toBeLessThanOrEqual(50);
    expect((Math.max(...arrivals.keys()) - from) / 1000).toBeLessThan(count / 50 / 0.88);
  });

  it('is not stranded by the rate: whoever would end before its turn comes an hour before', async () => {
    const fleet = () => bigFleet(8_000, from + 2 * 3_600_000);
    const schedule = await spreadRenewals(fleet, { perSecond: 1, from });
    for (const one of fleet()) expect(schedule.timeOf(one)).toBeLessThanOrEqual(from + 3_600_000);
  });

  it('is not spread further ahead than the horizon: then its own time counts', async () => {
    const later = { serialNumber: 'ab'.repeat(16), dueAt: from + 50 * DAY, notAfter: from + 90 * DAY };
    const schedule = await spreadRenewals(() => [later], { perSecond: 1, from, horizonMs: 45 * DAY });
    expect([schedule.timeOf(later), schedule.cells]).toEqual([later.dueAt, 0]);
  });

  it.each([
    ['after two thirds of its life', {}, 60 * DAY],
    ['in the window of its profile', { renewalWindowDays: 9 }, 81 * DAY],
  ])('that was onboarded within 42 s renews over days, %s', async (_, profile, opens) => {
    const fleet = Array.from({ length: 195 }, (_one, i) => {
      const notBefore = from - opens + Math.floor((i * 42_000) / 195);
      const serialNumber = createHash('sha256').update(`device ${i}`).digest('hex').slice(0, 32);
      const lifetime = { notBefore, notAfter: notBefore + 90 * DAY };
      return {
        serialNumber,
        notAfter: lifetime.notAfter,
        dueAt: spreadDueAt({ serialNumber, ...lifetime }, profile),
      };
    });
    const schedule = await spreadRenewals(() => fleet, { perSecond: 50, from });
    const times = fleet.map((one) => schedule.timeOf(one)).toSorted((a, b) => a - b);
    const window = (90 * DAY - opens) / 3;
    const [first = 0, last = 0] = [times[0], times.at(-1)];
    expect(first).toBeGreaterThanOrEqual(from);
    expect(last).toBeLessThanOrEqual(from + window + 60_000);
    // in any tenth of it there are some
    for (let part = 0; part < 10; part++) {
      const [start, end] = [part, part + 1].map((tenth) => from + (tenth * window) / 10) as [number, number];
      expect(times.filter((time) => start <= time && time < end).length).toBeGreaterThan(5);
    }
  });

  it('falls due when the window of the profile opens, or after two thirds of its life', () => {
    const lifetime = { notBefore: 0, notAfter: 90 * DAY };
    expect(dueAt(lifetime, { renewalWindowDays: 10 })).toBe(80 * DAY);
    expect(dueAt(lifetime, {})).toBe(60 * DAY);
  });
});

describe('F9: the time of a renewal', () => {
  const certificate = { notAfter: from };
  it.each([
    ['before its end', -1, 'in-time'],
    ['at its last moment', 0, 'in-time'],
    ['at the last moment of the grace', 5 * DAY, 'within-grace'],
    ['after the grace', 5 * DAY + 1, 'needs-grant'],
  ])('%s', (_, later, wanted) => {
    expect(renewalTime(certificate, { expiredGraceDays: 5 }, from + later)).toBe(wanted);
  });

  it('is never grace where the profile gives none', () => {
    expect(renewalTime(certificate, { expiredGraceDays: 0 }, from + 1)).toBe('needs-grant');
  });

  it('names the earliest time where it is too early', () => {
    const profile = { expiredGraceDays: 0, renewalWindowDays: 10 };
    expect(() => renewalTime(certificate, profile, from - 10 * DAY - 1)).toThrow(
      expect.objectContaining({
        code: 'too-early',
        message: expect.stringContaining('2025-12-22T00:00:00.000Z'),
      }),
    );
    expect(renewalTime(certificate, profile, from - 10 * DAY)).toBe('in-time');
  });
});

describe('a certificate named as in RFC 9773 §4.1', () => {
  it('is the one of the example there', () => {
    expect(parseCertificateId('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')).toEqual({
      issuerKeyId: '69885b6b87464041e1b37b847ba0ae2cde01c8d4',
      serialNumber: '87654321',
    });
  });

  it('comes back as it was written', () => {
    const hex = fc.stringMatching(/^[1-9a-f][0-9a-f]([0-9a-f]{2}){0,18}$/);
    fc.assert(
      fc.property(hex, hex, (issuerKeyId, serialNumber) => {
        const id = { issuerKeyId, serialNumber };
        expect(parseCertificateId(formatCertificateId(id))).toEqual(id);
      }),
    );
  });

  it.each(['', '.', 'a', 'a.b.c', 'a.', 'a.b/c', `${'a'.repeat(65)}.b`])('is not "%s"', (text) => {
    expect(parseCertificateId(text)).toBeUndefined();
  });
});
