import { newSerialNumber } from '@signet/pki';
import { describe, expect, it } from 'vitest';
import { checkGrant, checkUse, type Grant, hashSecret, newSecret } from './grant.ts';

const now = Date.UTC(2026, 0, 1);
const secretHash = hashSecret(newSecret());
const live: Grant = {
  id: 'acme/dev-1',
  account: 'acme',
  deviceId: 'dev-1',
  profile: 'default',
  fingerprint: 'f'.repeat(64),
  secretHash,
  serialNumber: newSerialNumber(),
  createdAt: new Date(now).toISOString(),
  expiresAt: new Date(now + 900_000).toISOString(),
};
const refusal = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

describe('F25: an enrollment grant', () => {
  it("is the key's whose certificate is recorded, which may come again; another key may not", () => {
    const recorded = { publicKeyHash: 'a'.repeat(64), issuedAt: new Date(now).toISOString() };
    expect(() => checkUse(recorded, 'a'.repeat(64))).not.toThrow();
    expect(() => checkUse(recorded, 'b'.repeat(64))).toThrow(
      refusal('used-grant', 'already used at 2026-01-01T00:00:00.000Z with another key'),
    );
  });

  it('is refused from its last moment on', () => {
    expect(() => checkGrant(live, { secretHash, now: now + 899_999 })).not.toThrow();
    expect(() => checkGrant(live, { secretHash, now: now + 900_000 })).toThrow(
      refusal('expired-grant', 'expired at'),
    );
  });

  it('is refused once the device was blocked', () => {
    const voided = { ...live, voided: 'device blocked' };
    expect(() => checkGrant(voided, { secretHash, now })).toThrow(
      refusal('wrong-grant', 'grant: void, device blocked'),
    );
  });

  it('is refused where it is another grant that was found', () => {
    const newer = { ...live, secretHash: hashSecret(newSecret()) };
    expect(() => checkGrant(newer, { secretHash, now })).toThrow(
      refusal('wrong-grant', 'grant: replaced by a newer one'),
    );
  });
});
