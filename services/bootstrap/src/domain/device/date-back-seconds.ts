import type { Authority } from '@signet/contracts';
import type { DeviceRecord } from './device-record.ts';
import type { Devices } from './find-device.ts';
import { rulerOf } from './ownership.ts';

const PAGE = 500;

/**
 * Second identities that were stored before it was known who set them do not count. Those that a factory CA of the
 * account signed that has the device now are taken for its own. One that the device proved itself has no issuer on
 * record: it counts again when the device proves it anew, as it does before each handoff.
 * @returns how many count again
 */
export async function adoptSecondIdentities(
  devices: Pick<Devices, 'find' | 'update'>,
  authorities: readonly Authority[],
): Promise<number> {
  const isOwn = (record: DeviceRecord) =>
    authorities.some(
      ({ kind, account, subjectKeyId }) =>
        kind === 'factory' && account === rulerOf(record) && subjectKeyId === record.secondIssuerKeyId,
    );
  let count = 0;
  let cursor: string | undefined;
  do {
    const page = await devices.find({
      index: 'bySecond',
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { id, secondSetBy } of page.items) {
      if (secondSetBy !== undefined) continue;
      const { secondSetBy: setNow } = await devices.update(id, (current) =>
        current.secondSetBy === undefined && current.secondFingerprint !== undefined && isOwn(current)
          ? { document: { ...current, secondSetBy: rulerOf(current) } }
          : undefined,
      );
      if (setNow !== undefined) count++;
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return count;
}
