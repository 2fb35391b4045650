import { isDuplicate } from '@signet/store';
import type { CertificateDocument, RegistrationDocument, Registrations } from '../../collections.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { isExpired } from './registration-request.ts';

/** What is numbered below a registration certificate, so that no two requests count as one. */
const numberIndexes = {
  /** Requests that wait for an operator. */
  waitingNumber: 'byWaitingNumber',
  /** Devices that are or may be registered. */
  deviceNumber: 'byDeviceNumber',
} as const;

const NUMBERS_PAGE = 1000;

/**
 * Writes with a number below `limit` that is free. The write itself decides: two that take one number at once, on
 * whatever replica, are told apart by its index, and the other one takes the next.
 * @returns undefined where every number is taken
 */
export async function withFreeNumber<T>(
  registrations: Pick<Registrations, 'find'>,
  wanted: {
    readonly certificateId: string;
    readonly field: keyof typeof numberIndexes;
    readonly limit: number;
  },
  write: (number: number) => Promise<T>,
): Promise<T | undefined> {
  const { certificateId, field, limit } = wanted;
  const index = numberIndexes[field];
  const query = { index, equals: { certificateId } } as const;
  const numbersOf = (items: readonly RegistrationDocument[]) => items.map((item) => item[field] ?? -1);
  const tried = async (number: number): Promise<{ readonly done: T } | undefined> => {
    try {
      return { done: await write(number) };
    } catch (error) {
      if (isDuplicate(error) && error.index === index) return undefined;
      throw error;
    }
  };

  const [newest = -1] = numbersOf((await registrations.find({ ...query, descending: true, limit: 1 })).items);
  for (let number = newest + 1; number < limit; number++) {
    const written = await tried(number);
    if (written !== undefined) return written.done;
  }
  let expected = 0;
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? {} : { cursor };
    const page = await registrations.find({ ...query, to: limit, limit: NUMBERS_PAGE, ...more });
    for (const number of [...numbersOf(page.items), ...(page.next === undefined ? [limit] : [])]) {
      for (; expected < number; expected++) {
        const written = await tried(expected);
        if (written !== undefined) return written.done;
      }
      expected = number + 1;
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return undefined;
}

/** Steps with the same key run one after another; in this process only. */
export function inTurn(): <T>(key: string, step: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, step) => {
    const before = last.get(key);
    const mine = (before ?? Promise.resolve()).then(step);
    const settled = mine.catch(() => {});
    last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}

const PURGE = 1000;

/**
 * Writes one more request that waits, if it may. Expired requests are removed first.
 * @throws RegistrationError `limit-reached`, `request-limit-reached`
 */
export async function withinQuota<T>(
  { registrations, now }: { readonly registrations: Registrations; readonly now: () => number },
  certificate: CertificateDocument,
  write: (waitingNumber: number) => Promise<T>,
): Promise<T> {
  await requireBudget(registrations, certificate);
  return withWaitingNumber({ registrations, now }, certificate, write);
}

/**
 * Writes one more request that waits, of a device that counts already below the certificate's limit. A device that was
 * reset, and whose request expired, is as it was before it asked.
 * @throws RegistrationError `request-limit-reached`
 */
export async function withWaitingNumber<T>(
  { registrations, now }: { readonly registrations: Registrations; readonly now: () => number },
  certificate: CertificateDocument,
  write: (waitingNumber: number) => Promise<T>,
): Promise<T> {
  const waiting = {
    index: 'byCertificate',
    equals: { certificateId: certificate.id, state: 'waiting' },
  } as const;
  const expired = await registrations.find({ ...waiting, to: new Date(now()).toISOString(), limit: PURGE });
  for (const { id, fingerprint } of expired.items)
    if (fingerprint === undefined) await registrations.remove(id, (current) => isExpired(current, now()));
    else await registrations.update(id, (current) => withoutRequest(current, now()));
  const wanted = {
    certificateId: certificate.id,
    field: 'waitingNumber',
    limit: certificate.maxWaiting,
  } as const;
  const written = await withFreeNumber(registrations, wanted, async (number) => ({
    done: await write(number),
  }));
  if (written !== undefined) return written.done;
  throw new RegistrationError(
    'request-limit-reached',
    `certificate: ${certificate.maxWaiting} requests of "${certificate.name}" wait for an operator already`,
  );
}

function withoutRequest(current: RegistrationDocument, now: number) {
  if (!isExpired(current, now)) return undefined;
  const { waitingNumber: _number, ...rest } = current;
  return { document: { ...rest, state: 'issued' as const } };
}

/**
 * Writes an approval, if the certificate may register one more device.
 * @throws RegistrationError `limit-reached`
 */
export async function withDeviceNumber<T>(
  registrations: Registrations,
  certificate: CertificateDocument | undefined,
  write: (deviceNumber: number | undefined) => Promise<T>,
): Promise<T> {
  if (certificate?.limit === undefined) return write(undefined);
  const { id: certificateId, limit } = certificate;
  await requireBudget(registrations, certificate);
  const wanted = { certificateId, field: 'deviceNumber', limit } as const;
  const written = await withFreeNumber(registrations, wanted, async (number) => ({
    done: await write(number),
  }));
  if (written !== undefined) return written.done;
  throw limitReached(certificate, limit);
}

/** @throws RegistrationError `limit-reached` where as many devices are approved as it may register */
async function requireBudget(
  registrations: Pick<Registrations, 'count'>,
  certificate: CertificateDocument,
): Promise<void> {
  const { id: certificateId, limit } = certificate;
  if (limit === undefined) return;
  const countOf = (state: 'approved' | 'issued') =>
    registrations.count({ index: 'byCertificate', equals: { certificateId, state } });
  const used = (await countOf('approved')) + (await countOf('issued'));
  if (used >= limit) throw limitReached(certificate, limit);
}

function limitReached({ name }: CertificateDocument, limit: number): RegistrationError {
  return new RegistrationError(
    'limit-reached',
    `certificate: "${name}" may register ${limit} devices, and has registered as many`,
  );
}
