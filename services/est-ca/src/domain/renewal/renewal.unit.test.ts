import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCertificateId, parseCertificateId } from './certificate-id.ts';
import { renewalTime } from './expired-renewal.ts';
import { dueAt } from './renewal-times.ts';
import { spreadRenewals } from './spread.ts';

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

describe('F82: a fleet that is told when to renew', () => {
  it('comes at no more than the set rate in any one second, none before it is due', () => {
    fc.assert(
      fc.property(fleets, fc.integer({ min: 1, max: 20 }), (fleet, perSecond) => {
        const times = spreadRenewals(fleet, { perSecond, from });
        const seconds = Map.groupBy(times.values(), (time) => Math.floor(time / 1000));
        expect(times.size).toBe(fleet.length);
        for (const arrivals of seconds.values()) expect(arrivals.length).toBeLessThanOrEqual(perSecond);
        for (const { serialNumber, dueAt: due } of fleet)
          expect(times.get(serialNumber)).toBeGreaterThanOrEqual(Math.max(due, from));
      }),
    );
  });

  it('gets the same times from every replica, in whatever order that read the fleet', () => {
    fc.assert(
      fc.property(fleets, (fleet) => {
        const options = { perSecond: 3, from };
        expect(spreadRenewals(fleet.toReversed(), options)).toEqual(spreadRenewals(fleet, options));
      }),
    );
  });

  it('is through without a pause: a hundred thousand that fall due together take as long as the rate says', () => {
    const fleet = Array.from({ length: 100_000 }, (_, i) => ({
      serialNumber: i.toString(16).padStart(32, '1'),
      dueAt: from,
      notAfter: from + 30 * DAY,
    }));
    const times = [...spreadRenewals(fleet, { perSecond: 50, from }).values()];
    expect(Math.max(...times.slice(-10)) - from).toBe((100_000 / 50 - 1) * 1000);
  });

  it('is not stranded by the rate: whoever would end before its turn comes an hour before', () => {
    const fleet = Array.from({ length: 20_000 }, (_, i) => ({
      serialNumber: i.toString(16).padStart(32, '1'),
      dueAt: from,
      notAfter: from + 2 * 3_600_000,
    }));
    for (const time of spreadRenewals(fleet, { perSecond: 1, from }).values())
      expect(time).toBeLessThanOrEqual(from + 3_600_000);
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
