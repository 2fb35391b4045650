import { newEvent, SerialNumber, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import {
  type CertificateRecord,
  type Certificates,
  certificateFacts,
  isLive,
} from '../certificate/certificate.ts';

/**
 * That `CERT_EXPIRING` was said of a certificate, so many days ahead. Its id is `<serial number>/<days>`: of all replicas
 * one inserts it, and the event goes with that write.
 */
export const ExpiryNotice = z.object({
  id: z.string(),
  serialNumber: SerialNumber,
  days: z.number().int(),
  /** Of the certificate; then the notice goes. */
  notAfter: Time,
});
export type ExpiryNotice = z.infer<typeof ExpiryNotice>;

export const expiryNotices: CollectionSpec<ExpiryNotice, 'ending'> = {
  name: 'est-ca.expiry-notices',
  schema: ExpiryNotice,
  indexes: { ending: { fields: ['notAfter'] } },
};

/** Notices as the store keeps them. */
export type ExpiryNotices = Collection<ExpiryNotice, 'ending'>;

/** How far certificates were looked through for one number of days ahead; the id is that number. */
export const ExpiryMark = z.object({ id: z.string(), coveredTo: Time });
export type ExpiryMark = z.infer<typeof ExpiryMark>;

export const expiryMarks: CollectionSpec<ExpiryMark, never> = {
  name: 'est-ca.expiry-marks',
  schema: ExpiryMark,
  indexes: {},
};

/** Marks as the store keeps them. */
export type ExpiryMarks = Collection<ExpiryMark>;

const DAY_MS = 86_400_000;

export type ExpiryDeps = {
  readonly certificates: Pick<Certificates, 'find'>;
  readonly notices: Pick<ExpiryNotices, 'insert' | 'find' | 'remove'>;
  readonly marks: Pick<ExpiryMarks, 'get' | 'insert' | 'update'>;
  /** How many days ahead, the largest first. */
  readonly days: readonly number[];
};

/**
 * Says `CERT_EXPIRING` of every certificate that has come within one of the spans of days since the last time: once for
 * each span, however many replicas look. Nothing is said of what is revoked, of what its device has a later one for, nor
 * of a span that is longer than the certificate lives. After a standstill only the shortest span is said.
 * @param now Unix milliseconds
 * @returns how many were said by this call
 */
export async function announceExpiring(deps: ExpiryDeps, now: number): Promise<number> {
  let said = 0;
  for (const [i, days] of deps.days.entries()) {
    const shorter = deps.days[i + 1] ?? 0;
    const mark = await deps.marks.get(String(days));
    const covered = mark === undefined ? now : Date.parse(mark.coveredTo) + days * DAY_MS;
    const from = Math.max(covered, now + shorter * DAY_MS);
    for await (const record of ending(deps.certificates, from, now + days * DAY_MS))
      if (
        (await concerns(deps.certificates, record, days, now)) &&
        (await say(deps.notices, record, days, now))
      )
        said += 1;
    await advance(deps.marks, String(days), now);
  }
  await forget(deps.notices, now);
  return said;
}

async function* ending(certificates: Pick<Certificates, 'find'>, from: number, to: number) {
  let cursor: string | undefined;
  do {
    const page = await certificates.find({
      index: 'ending',
      from: new Date(from).toISOString(),
      to: new Date(to + 1).toISOString(),
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}

async function concerns(
  certificates: Pick<Certificates, 'find'>,
  record: CertificateRecord,
  days: number,
  now: number,
): Promise<boolean> {
  if (!isLive(record, now)) return false;
  if (Date.parse(record.notAfter) - Date.parse(record.issuedAt) <= days * DAY_MS) return false;
  const { account, deviceId } = record;
  const { items } = await certificates.find({
    index: 'device',
    equals: { account, deviceId },
    descending: true,
    limit: 10,
  });
  return !items.some((other) => isLive(other, now) && other.notAfter > record.notAfter);
}

async function say(
  notices: Pick<ExpiryNotices, 'insert'>,
  record: CertificateRecord,
  days: number,
  now: number,
): Promise<boolean> {
  const { serialNumber, notAfter, account, deviceId } = record;
  const daysLeft = Math.ceil((Date.parse(notAfter) - now) / DAY_MS);
  const event = newEvent('CERT_EXPIRING', {
    account,
    subject: deviceId,
    time: now,
    data: { ...certificateFacts(record), daysLeft },
  });
  try {
    await notices.insert({ id: `${serialNumber}/${days}`, serialNumber, days, notAfter }, [event]);
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

async function advance(marks: ExpiryDeps['marks'], id: string, now: number): Promise<void> {
  const document = { id, coveredTo: new Date(now).toISOString() };
  try {
    await marks.insert(document);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await marks.update(id, (current) => (current.coveredTo < document.coveredTo ? { document } : undefined));
  }
}

/** Notices of certificates that ended a day ago are of no use any more. */
async function forget(notices: Pick<ExpiryNotices, 'find' | 'remove'>, now: number): Promise<void> {
  const { items } = await notices.find({
    index: 'ending',
    to: new Date(now - DAY_MS).toISOString(),
    limit: 1000,
  });
  for (const { id } of items) await notices.remove(id);
}
