import { describe, expect, it } from 'vitest';
import type { CertificateRecord } from './certificate.ts';
import { renewedBy, supersededBy } from './revocation.ts';

const record = (serialNumber: string, key: string, issuedAt: string) =>
  ({ serialNumber, publicKeyHash: key, issuedAt }) as CertificateRecord;
const promoted = { serialNumber: '02', publicKeyHash: 'new', issuedAt: '2026-02-01T00:00:00.000Z' };

describe('a promoted key supersedes', () => {
  const supersedes = supersededBy(promoted);

  it('certificates of other keys that were issued before it', () => {
    expect(supersedes(record('01', 'old', '2026-01-01T00:00:00.000Z'))).toBe(true);
  });

  it('not itself, and not a renewal that kept its key', () => {
    expect(supersedes(record('02', 'new', promoted.issuedAt))).toBe(false);
    expect(supersedes(record('03', 'new', '2026-01-15T00:00:00.000Z'))).toBe(false);
  });

  it('not the certificate of a key announced since, however late the event comes', () => {
    expect(supersedes(record('04', 'next', '2026-02-02T00:00:00.000Z'))).toBe(false);
  });
});

describe('a renewed certificate that the device was seen with supersedes', () => {
  const seen = record('02', 'same', '2026-02-01T00:00:00.000Z');
  const supersedes = renewedBy(seen);

  it('those of its key that were issued before it, and not itself', () => {
    expect(supersedes(record('01', 'same', '2026-01-01T00:00:00.000Z'))).toBe(true);
    expect(supersedes(seen)).toBe(false);
  });

  it('neither a later one, whose answer may be on its way, nor one of another key', () => {
    expect(supersedes(record('03', 'same', '2026-02-02T00:00:00.000Z'))).toBe(false);
    expect(supersedes(record('04', 'other', '2026-01-01T00:00:00.000Z'))).toBe(false);
  });
});
