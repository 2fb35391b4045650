import { newEvent, type SignetEvent, uuidv7 } from '@signet/contracts';
import type { Certificate } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import { DeviceRecord, type Devices } from '../../collections.ts';
import { manufacturedEvent } from '../device/transitions.ts';
import { BootstrapError } from '../refusals/errors.ts';
import type { FactoryPin } from './factory-pins.ts';

/** The events of a device that came before anybody announced it: one to each account that has its CA pinned. */
export function firstSeenEvents(
  record: DeviceRecord,
  pins: readonly FactoryPin[],
  now: number,
): SignetEvent[] {
  const { deviceId, id: fingerprint } = record;
  return pins.map(({ account, authorityId }) =>
    newEvent('DEVICE_FIRST_SEEN', {
      ...{ account, subject: deviceId, time: now },
      data: { deviceId, fingerprint, authorityId },
    }),
  );
}

type NewDeviceFacts = {
  readonly certificate: Certificate;
  /** The account that made it; undefined where several accounts have its CA pinned. */
  readonly factoryAccount: string | undefined;
  readonly authorityId: string;
  readonly model?: string | undefined;
  readonly now: number;
};

/** The record of a device that was just made, or just heard of. A device is what its certificate says. @throws ZodError */
export function newDeviceRecord({
  certificate,
  factoryAccount,
  authorityId,
  model,
  now,
}: NewDeviceFacts): DeviceRecord {
  const { commonName, serialNumber = commonName } = certificate.subject;
  return DeviceRecord.parse({
    id: certificate.fingerprint,
    deviceId: commonName,
    factoryAccount,
    deviceSerialNumber: serialNumber,
    model,
    certificate: certificate.pem(),
    certificateSerial: certificate.serialNumber,
    publicKeyHash: certificate.publicKeyHash,
    authorityId,
    made: uuidv7(now),
    manufacturedAt: new Date(now).toISOString(),
    state: 'manufactured',
  } satisfies Partial<Record<keyof DeviceRecord, unknown>>);
}

/**
 * Records a device whose certificate was made externally: from a log, or at its first contact (`seenBy`). The same certificate
 * may come as often as it does.
 * @throws BootstrapError `serial-number-taken`, `certificate-serial-taken`
 */
export async function insertDevice(
  devices: Pick<Devices, 'insert'>,
  record: DeviceRecord,
  { seenBy = [], now }: { readonly seenBy?: readonly FactoryPin[]; readonly now: number },
): Promise<{ readonly isNew: boolean }> {
  const events = [manufacturedEvent(record, now), ...firstSeenEvents(record, seenBy, now)];
  try {
    await devices.insert(record, events);
    return { isNew: true };
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    if (error.index === 'id') return { isNew: false };
    throw error.index === 'byCertificate' ? certificateSerialTaken(record) : serialNumberTaken(record);
  }
}

/** One serial number is one device (F55), whatever an external factory signs. */
function serialNumberTaken({ deviceSerialNumber }: DeviceRecord): BootstrapError {
  const message = `deviceSerialNumber: "${deviceSerialNumber}" was made before, with another certificate`;
  return new BootstrapError('serial-number-taken', message, { field: 'deviceSerialNumber' });
}

function certificateSerialTaken({ certificateSerial, authorityId }: DeviceRecord): BootstrapError {
  const message = `certificate: CA "${authorityId}" gave its serial number ${certificateSerial} to another one`;
  return new BootstrapError('certificate-serial-taken', message, { field: 'certificate' });
}
