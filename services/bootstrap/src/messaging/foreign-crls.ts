import type { Bus, Subscription } from '@signet/bus';
import { applyCrlToDevices } from '@signet/contracts';
import type { DeviceRecord } from '../domain/device/device-record.ts';
import type { Devices } from '../domain/device/find-device.ts';
import { block, unblock } from '../domain/device/transitions.ts';

/** Devices changed at a time. */
const CONCURRENCY = 64;

/**
 * Devices whose bootstrap certificate a foreign PKI lists in its CRL are blocked, with the number of that CRL; those that
 * leave it are unblocked, unless somebody else blocked them (F30).
 */
export async function serveForeignCrls(deps: {
  readonly bus: Bus;
  readonly devices: Devices;
  readonly now: () => number;
}): Promise<Subscription> {
  const { bus, devices, now } = deps;
  return bus.serve(applyCrlToDevices, async ({ account, source, number, authorityIds, listed, unlisted }) => {
    const cause = `CRL ${account}.${source}`;
    const by = `CRL source ${source}`;
    const find = (serialNumber: string) => devicesOf(devices, authorityIds, serialNumber);
    const blocked = await changed(listed, async ({ serialNumber, reason }) =>
      changeEach(devices, await find(serialNumber), (record) =>
        record.state === 'retired' || record.state === 'blocked'
          ? undefined
          : block(record, { reason: `CRL ${number} of "${source}": ${reason}`, by, cause, now: now() }),
      ),
    );
    const unblocked = await changed(unlisted, async (serialNumber) =>
      changeEach(devices, await find(serialNumber), (record) =>
        record.state === 'blocked' && record.blockCause === cause
          ? unblock(record, { by, now: now() })
          : undefined,
      ),
    );
    return { blocked, unblocked };
  });
}

async function devicesOf(
  devices: Devices,
  authorityIds: readonly string[],
  certificateSerial: string,
): Promise<readonly DeviceRecord[]> {
  const pages = await Promise.all(
    authorityIds.map((authorityId) =>
      devices.find({ index: 'byCertificate', equals: { authorityId, certificateSerial }, limit: 1 }),
    ),
  );
  return pages.flatMap(({ items }) => items);
}

async function changeEach(
  devices: Devices,
  records: readonly DeviceRecord[],
  change: Parameters<Devices['update']>[1],
): Promise<string[]> {
  const names: string[] = [];
  for (const { id } of records) {
    let isChanged = false;
    const { deviceId } = await devices.update(id, (current) => {
      const step = change(current);
      isChanged = step !== undefined;
      return step;
    });
    if (isChanged) names.push(deviceId);
  }
  return names;
}

async function changed<T>(items: readonly T[], change: (item: T) => Promise<string[]>): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < items.length; i += CONCURRENCY)
    names.push(...(await Promise.all(items.slice(i, i + CONCURRENCY).map(change))).flat());
  return names;
}
