import { StoreError } from '@signet/store';
import type { RegistrationDocument, Registrations } from './registration-request.ts';

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
 * whatever replica, are told apart by its index, and the other one goes on with the next.
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
      if (error instanceof StoreError && error.code === 'duplicate' && error.index === index)
        return undefined;
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
