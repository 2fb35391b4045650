import { StoreError } from '@signet/store';
import { describe, expect, it } from 'vitest';
import type { Grant, GrantUse, Reservation } from './grant.ts';
import { hashSecret, newSecret } from './secret.ts';
import { checkUse, reserveByGrant } from './use-grant.ts';

const now = Date.UTC(2026, 0, 1);
const secretHash = hashSecret(newSecret());
const live: Grant = {
  id: 'acme/dev-1',
  account: 'acme',
  deviceId: 'dev-1',
  profile: 'default',
  fingerprint: 'f'.repeat(64),
  secretHash,
  createdAt: new Date(now).toISOString(),
  expiresAt: new Date(now + 900_000).toISOString(),
};
const reservationOf = (key: string, serialNumber = 'ab'): Reservation => ({
  publicKeyHash: key.repeat(64),
  serialNumber,
  authorityId: 'issuing',
  issuedAt: new Date(now).toISOString(),
  notAfter: new Date(now + 1).toISOString(),
});
const use = (key: string, at = now, serialNumber = 'ab') => ({
  secretHash,
  reservation: reservationOf(key, serialNumber),
  now: at,
});

/** Documents by id, as every store inserts them. */
function uses() {
  const documents = new Map<string, GrantUse>();
  return {
    get: async (id: string) => documents.get(id),
    insert: async (document: GrantUse) => {
      if (documents.has(document.id)) throw new StoreError('duplicate', 'taken', { index: 'id' });
      documents.set(document.id, document);
    },
  };
}

describe('F25: an enrollment grant', () => {
  it('is bound to the first key that uses it; the same key may come again and keeps its first reservation', async () => {
    const stored = uses();
    expect(await reserveByGrant(stored, live, use('a'))).toEqual(reservationOf('a'));
    expect(await reserveByGrant(stored, live, use('a', now + 1, 'cd'))).toEqual(reservationOf('a'));
  });

  it('is refused to another key', async () => {
    const stored = uses();
    await reserveByGrant(stored, live, use('a'));
    await expect(reserveByGrant(stored, live, use('b'))).rejects.toMatchObject({
      code: 'used-grant',
      message: expect.stringContaining('another key'),
    });
    expect(() => checkUse(undefined, 'b')).not.toThrow();
  });

  it('is refused from its last moment on, to the key that used it too', async () => {
    const stored = uses();
    await reserveByGrant(stored, live, use('a'));
    await expect(reserveByGrant(stored, live, use('a', now + 900_000))).rejects.toMatchObject({
      code: 'expired-grant',
      message: expect.stringContaining('expired at'),
    });
  });

  it('is refused once the device was blocked', async () => {
    const voided = { ...live, voided: 'device blocked' };
    await expect(reserveByGrant(uses(), voided, use('a'))).rejects.toMatchObject({
      code: 'wrong-grant',
      message: 'grant: void, device blocked',
    });
  });

  it('is refused where it is another grant that was found', async () => {
    const newer = { ...live, secretHash: hashSecret(newSecret()) };
    await expect(reserveByGrant(uses(), newer, use('a'))).rejects.toMatchObject({
      code: 'wrong-grant',
      message: 'grant: replaced by a newer one',
    });
  });
});
