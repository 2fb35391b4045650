import type * as operations from '@signet/contracts';
import type { DeviceRecord, Devices } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { byDeviceId, secondIdentityOf } from './find-device.ts';
import { block, withdrawBlock } from './transitions.ts';

/** Devices changed at a time. */
const CONCURRENCY = 64;

type CrlChange = InputOf<typeof operations.applyCrlToDevices>;

type CrlEntry = {
  readonly serialNumber: string;
  /** Ids of the records of whoever holds the certificate. */
  readonly find: () => Promise<readonly string[]>;
  /** Whether the certificate still is one of the device that was found. */
  readonly isHolder: (record: DeviceRecord) => boolean;
  readonly reason?: string;
};

/**
 * Devices of which a foreign PKI lists a certificate in its CRL are blocked, with the number of that CRL; when the last
 * that is listed leaves it they are unblocked, unless something else blocks them (F30). A block is of one certificate.
 */
export async function applyCrlToDevices(
  { devices, now }: Pick<Context, 'devices' | 'now'>,
  crl: CrlChange,
): Promise<{ blocked: string[]; unblocked: string[] }> {
  const { account, source, number, listed, unlisted, holders } = crl;
  const by = `CRL source ${source}`;
  const causeOf = (serialNumber: string) => `CRL ${account}.${source} ${serialNumber}`;
  const ofBootstrapCertificate = (serialNumber: string) => ({
    serialNumber,
    find: () => byBootstrapCertificate(devices, crl, serialNumber),
    isHolder: (record: DeviceRecord) =>
      record.certificateSerial === serialNumber ||
      (record.secondSerial === serialNumber && secondIdentityOf(record) !== undefined),
  });
  const ofHolder = ({ serialNumber, ...holder }: (typeof holders.unlisted)[number]) => ({
    serialNumber,
    find: async () => {
      const record = await byDeviceId(devices, holder.account, holder.deviceId);
      return record === undefined ? [] : [record.id];
    },
    isHolder: ({ account: owner, deviceId }: DeviceRecord) =>
      owner === holder.account && deviceId === holder.deviceId,
  });
  const toBlock: CrlEntry[] = [
    ...listed.map(({ serialNumber, reason }) => ({ ...ofBootstrapCertificate(serialNumber), reason })),
    ...holders.listed.map(({ reason, ...holder }) => ({ ...ofHolder(holder), reason })),
  ];
  const blocked = await changeHolders(devices, toBlock, (record, { serialNumber, reason }) =>
    record.state === 'retired'
      ? undefined
      : block(record, {
          ...{ by, now: now(), cause: causeOf(serialNumber) },
          reason: `${number === undefined ? 'CRL' : `CRL ${number}`} of "${source}": ${reason}`,
        }),
  );
  const unblocked = await changeHolders(
    devices,
    [...unlisted.map(ofBootstrapCertificate), ...holders.unlisted.map(ofHolder)],
    (record, { serialNumber }) => withdrawBlock(record, { by, now: now(), cause: causeOf(serialNumber) }),
  );
  return { blocked, unblocked };
}

/** The devices with this bootstrap certificate, as their first or their second (F15). */
async function byBootstrapCertificate(
  devices: Devices,
  { authorityIds, issuerKeyId }: Pick<CrlChange, 'authorityIds' | 'issuerKeyId'>,
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

async function changeHolders(
  devices: Devices,
  entries: readonly CrlEntry[],
  change: (record: Parameters<typeof block>[0], entry: CrlEntry) => ReturnType<typeof block>,
): Promise<string[]> {
  const one = async (item: CrlEntry): Promise<string[]> => {
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
  for (let i = 0; i < entries.length; i += CONCURRENCY)
    names.push(...(await Promise.all(entries.slice(i, i + CONCURRENCY).map(one))).flat());
  return names;
}
