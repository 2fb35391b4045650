import { describe, expect, it } from 'vitest';
import type { Grant, Reservation } from './grant.ts';
import { hashSecret, newSecret } from './secret.ts';
import { bindGrant } from './use-grant.ts';

const now = Date.UTC(2026, 0, 1);
const secret = newSecret();
const live: Grant = {
  id: 'acme/dev-1',
  account: 'acme',
  deviceId: 'dev-1',
  profile: 'default',
  fingerprint: 'f'.repeat(64),
  secretHash: hashSecret(secret),
  createdAt: new Date(now).toISOString(),
  expiresAt: new Date(now + 900_000).toISOString(),
};
const reservationOf = (key: string): Reservation => ({
  publicKeyHash: key.repeat(64),
  serialNumber: 'ab',
  authorityId: 'issuing',
  issuedAt: new Date(now).toISOString(),
  notAfter: new Date(now + 1).toISOString(),
});
const use = (key: string, at = now) => ({
  secretHash: hashSecret(secret),
  reservation: reservationOf(key),
  now: at,
});

describe('F25: an enrollment grant', () => {
  it('is bound to the first key that uses it', () => {
    expect(bindGrant(live, use('a'))?.document.use?.publicKeyHash).toBe('a'.repeat(64));
  });

  it('may be used again by the same key, and keeps its first reservation', () => {
    expect(bindGrant({ ...live, use: reservationOf('a') }, use('a'))).toBeUndefined();
  });

  it('is refused to another key', () => {
    expect(() => bindGrant({ ...live, use: reservationOf('a') }, use('b'))).toThrow(
      expect.objectContaining({ code: 'used-grant', message: expect.stringContaining('another key') }),
    );
  });

  it('is refused from its last moment on, to the key that used it too', () => {
    expect(() => bindGrant({ ...live, use: reservationOf('a') }, use('a', now + 900_000))).toThrow(
      expect.objectContaining({ code: 'expired-grant', message: expect.stringContaining('expired at') }),
    );
  });

  it('is refused once the device was blocked', () => {
    expect(() => bindGrant({ ...live, voided: 'device blocked' }, use('a'))).toThrow(
      expect.objectContaining({ code: 'wrong-grant', message: 'grant: void, device blocked' }),
    );
  });

  it('is refused when a newer one has replaced it between look-up and use', () => {
    const newer = { ...live, secretHash: hashSecret(newSecret()) };
    expect(() => bindGrant(newer, use('a'))).toThrow(
      expect.objectContaining({ code: 'wrong-grant', message: 'grant: replaced by a newer one' }),
    );
  });
});
