import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SignetEvent, uuidv7 } from '@signet/contracts';
import { createLogger, openBackbone } from '@signet/service';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Collections, openCollections } from '../src/collections.ts';
import type { CertificateRecord } from '../src/domain/certificate/certificate.ts';
import { announceExpiring } from '../src/domain/expiry/announce-expiring.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const start = Date.UTC(2026, 0, 1);
const stack = new AsyncDisposableStack();
const events: SignetEvent<'CERT_EXPIRING'>[] = [];
let collections: Collections;
let published: (id: string) => Promise<void>;

beforeAll(async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'signet-expiry-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const log = createLogger({ service: 'test', level: 'silent' });
  const store = `sqlite:${join(dataDir, 'signet.db')}`;
  const { bus, ...backbone } = stack.use(
    await openBackbone({ store, bus: 'local', dataDir, name: 'test', log }),
  );
  collections = await openCollections(backbone.store);
  await bus.tail({ types: ['CERT_EXPIRING'], from: 'start' }, (event) => {
    events.push(event as SignetEvent<'CERT_EXPIRING'>);
  });
  published = async (id) => {
    await vi.waitFor(() => expect(events.some(({ data }) => data.serialNumber === id)).toBe(true), 10_000);
  };
});
afterAll(() => stack.disposeAsync());

const hex = (length: number) => uuidv7(start).replaceAll('-', '').repeat(2).slice(0, length);

async function certificate(
  deviceId: string,
  days: number,
  extra: Partial<CertificateRecord> = {},
): Promise<CertificateRecord> {
  const serialNumber = `1${hex(31)}`;
  const record: CertificateRecord = {
    id: serialNumber,
    serialNumber,
    account: 'acme',
    deviceId,
    profile: 'acme',
    certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    fingerprint: hex(64),
    publicKeyHash: hex(64),
    issuerKeyId: hex(40),
    authorityId: 'issuing',
    issuedAt: new Date(start).toISOString(),
    notBefore: new Date(start).toISOString(),
    notAfter: new Date(start + days * DAY).toISOString(),
    ...extra,
  };
  await collections.certificates.insert(record);
  return record;
}

/** So many replicas look at the same time. */
async function look(now: number, replicas = 1, days: readonly number[] = [30, 7, 1]): Promise<number> {
  const { certificates, expiryNotices: notices, expiryMarks: marks } = collections;
  const looks = Array.from({ length: replicas }, () =>
    announceExpiring({ certificates, notices, marks, days }, now),
  );
  return (await Promise.all(looks)).reduce((sum, said) => sum + said, 0);
}

const saidOf = ({ serialNumber }: CertificateRecord) =>
  events.filter(({ data }) => data.serialNumber === serialNumber).map(({ data }) => data.daysLeft);

describe('CERT_EXPIRING', () => {
  it('is said 30, 7 and 1 days ahead, exactly once each, however many replicas look and how often', async () => {
    const fleet = await Promise.all(Array.from({ length: 20 }, (_, i) => certificate(`fleet-${i}`, 90)));
    for (let now = start; now < start + 90 * DAY; now += 12 * HOUR) await look(now, 3);
    for (const record of fleet) await published(record.serialNumber);
    await vi.waitFor(() => expect(events.length).toBeGreaterThanOrEqual(60), 10_000);
    for (const record of fleet) expect(saidOf(record)).toEqual([30, 7, 1]);
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  });

  it('is said neither of what was revoked, nor of what its device has a later one for', async () => {
    const revoked = await certificate('revoked', 130, { revokedAt: new Date(start + DAY).toISOString() });
    const old = await certificate('renewed', 130);
    await certificate('renewed', 200, { issuedAt: new Date(start + 95 * DAY).toISOString() });
    const last = await certificate('kept', 130);
    await look(start + 101 * DAY, 2);
    await published(last.serialNumber);
    expect([saidOf(revoked), saidOf(old), saidOf(last)]).toEqual([[], [], [29]]);
  });

  it('is not said 30 days ahead of a certificate that lives for 14', async () => {
    const issuedAt = new Date(start + 210 * DAY).toISOString();
    const short = await certificate('short', 224, { issuedAt });
    for (let day = 209; day < 224; day += 0.5) await look(start + day * DAY);
    await published(short.serialNumber);
    await vi.waitFor(() => expect(saidOf(short)).toEqual([7, 1]), 10_000);
  });

  it('is said once after a standstill, with the days that are left', async () => {
    const record = await certificate('standstill', 300);
    await look(start + 260 * DAY);
    await look(start + 295.5 * DAY);
    await published(record.serialNumber);
    expect(saidOf(record)).toEqual([5]);
  });

  it('keeps no trace of certificates that have ended', async () => {
    await look(start + 400 * DAY);
    await vi.waitFor(async () => expect(await collections.expiryNotices.count()).toBe(0), 10_000);
  });
});
