import type { Bus, Subscription } from '@signet/bus';
import { applyCrlToDevices } from '@signet/contracts';
import type { z } from 'zod';
import type { DeviceRecord, Devices } from '../collections.ts';
import { byDeviceId } from '../domain/device/find-device.ts';
import { secondIdentityOf } from '../domain/device/ownership.ts';
import { block, withdrawBlock } from '../domain/device/transitions.ts';

/** Devices changed at a time. */
const CONCURRENCY = 64;

type Asked = z.output<(typeof applyCrlToDevices)['input']>;

/** Ids of the records of whoever holds a certificate. */
type Find = () => Promise<readonly string[]>;

type Said = {
  readonly serialNumber: string;
  readonly find: Find;
  /** Whether the certificate still is one of the device that was found. */
  readonly isHolder: (record: DeviceRecord) => boolean;
  readonly reason?: string;
};

/**
 * Devices of which a foreign PKI lists a certificate in its CRL are blocked, with the number of that CRL; when the last
 * that is listed leaves it they are unblocked, unless something else blocks them (F30). A block is of one certificate.
 */
export async function serveForeignCrls(deps: {
  readonly bus: Bus;
  readonly devices: Devices;
  readonly now: () => number;
}): Promise<Subscription> {
  const { bus, devices, now } = deps;
  return bus.serve(applyCrlToDevices, async (asked) => {
    const { account, source, number, listed, unlisted, holders } = asked;
    const by = `CRL source ${source}`;
    const causeOf = (serialNumber: string) => `CRL ${account}.${source} ${serialNumber}`;
    const made = (serialNumber: string) => ({
      serialNumber,
      find: () => byBootstrapCertificate(devices, asked, serialNumber),
      isHolder: (record: DeviceRecord) =>
        record.certificateSerial === serialNumber ||
        (record.secondSerial === serialNumber && secondIdentityOf(record) !== undefined),
    });
    const held = ({ serialNumber, ...holder }: (typeof holders.unlisted)[number]) => ({
      serialNumber,
      find: async () => {
        const record = await byDeviceId(devices, holder.account, holder.deviceId);
        return record === undefined ? [] : [record.id];
      },
      isHolder: ({ account: owner, deviceId }: DeviceRecord) =>
        owner === holder.account && deviceId === holder.deviceId,
    });
    const toBlock: Said[] = [
      ...listed.map(({ serialNumber, reason }) => ({ ...made(serialNumber), reason })),
      ...holders.listed.map(({ reason, ...holder }) => ({ ...held(holder), reason })),
    ];
    const blocked = await changed(devices, toBlock, (record, { serialNumber, reason }) =>
      record.state === 'retired'
        ? undefined
        : block(record, {
            ...{ by, now: now(), cause: causeOf(serialNumber) },
            reason: `${number === undefined ? 'CRL' : `CRL ${number}`} of "${source}": ${reason}`,
          }),
    );
    const unblocked = await changed(
      devices,
      [...unlisted.map(made), ...holders.unlisted.map(held)],
      (record, { serialNumber }) => withdrawBlock(record, { by, now: now(), cause: causeOf(serialNumber) }),
    );
    return { blocked, unblocked };
  });
}

/** Whoever was made with the certificate, be it the first of the device or its second (F15). */
async function byBootstrapCertificate(
  devices: Devices,
  { authorityIds, issuerKeyId }: Pick<Asked, 'authorityIds' | 'issuerKeyId'>,
  serialNumber: string,
): Promise<readonly string[]> {
  const second = { secondIssuerKeyId: issuerKeyId, secondSerial: serialNumber };
  const pages = await Promise.all([
    ...authorityIds.map((authorityId) =>
      devices.find({
        index: 'byCertificate',
        equals: { authorityId, certificateSerial: serialNumber },
        limit: 1,
      }),
    ),
    devices.find({ index: 'bySecondCertificate', equals: second, limit: 16 }),
  ]);
  return pages.flatMap(({ items }) => items.map(({ id }) => id));
}

async function changed(
  devices: Devices,
  said: readonly Said[],
  change: (record: Parameters<typeof block>[0], said: Said) => ReturnType<typeof block>,
): Promise<string[]> {
  const one = async (item: Said): Promise<string[]> => {
    const names: string[] = [];
    for (const id of await item.find()) {
      let isChanged = false;
      const { deviceId } = await devices.update(id, (current) => {
        const step = item.isHolder(current) ? change(current, item) : undefined;
        isChanged = (step?.events ?? []).length > 0;
        return step;
      });
      if (isChanged) names.push(deviceId);
    }
    return names;
  };
  const names: string[] = [];
  for (let i = 0; i < said.length; i += CONCURRENCY)
    names.push(...(await Promise.all(said.slice(i, i + CONCURRENCY).map(one))).flat());
  return names;
}
