import type { Bus } from '@signet/bus';
import {
  Device,
  DeviceKeys,
  DeviceProfileMove,
  getDevice,
  getDeviceKeys,
  getDeviceProfile,
  IssuedCertificate,
  listCertificates,
  OperationError,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { z } from 'zod';
import { type DeviceActivities, DeviceActivity } from './device-activity.ts';
import { RefusalRecord, type RefusalRecords } from './refusal-record.ts';

/** A device as operators see it, put together from what each service knows. */
export const DeviceView = z.object({
  device: Device,
  certificates: z.array(IssuedCertificate),
  keys: DeviceKeys.optional(),
  profile: DeviceProfileMove.optional().describe(
    'The enrollment profile that an operator moved the device to',
  ),
  activity: DeviceActivity.optional(),
  /** The newest first, at most 20. */
  refusals: z.array(RefusalRecord),
  /** Services that did not answer: their part is missing. */
  unavailable: z.array(z.string()),
});
export type DeviceView = z.infer<typeof DeviceView>;

export type DeviceViewer = (account: string, deviceId: string) => Promise<DeviceView>;

type Deps = {
  readonly bus: Pick<Bus, 'request'>;
  readonly activities: Pick<DeviceActivities, 'get'>;
  readonly refusals: Pick<RefusalRecords, 'find'>;
};

const SHOWN_REFUSALS = 20;

/** @throws OperationError `unknown-device`, or `unavailable` where the bootstrap service is unavailable */
export function deviceViewer({ bus, activities, refusals }: Deps): DeviceViewer {
  return async (account, deviceId) => {
    const unavailable = new Set<string>();
    const orElse =
      <T>(service: string, fallback: T) =>
      (error: unknown): T => {
        if (!(error instanceof OperationError)) throw error;
        if (error.code !== 'unknown-device') unavailable.add(service);
        return fallback;
      };
    const [device, certificates, keys, profile, activity] = await Promise.all([
      bus.request(getDevice, { account, deviceId }),
      bus
        .request(listCertificates, { account, deviceId, limit: 100 })
        .then(({ items }) => items, orElse<IssuedCertificate[]>('est-ca', [])),
      bus.request(getDeviceKeys, { account, deviceId }).catch(orElse('provisioning', undefined)),
      bus
        .request(getDeviceProfile, { account, deviceId })
        .then(({ move }) => move, orElse('est-ca', undefined)),
      activities.get(`${account}/${deviceId}`),
    ]);
    const fingerprints = [device.fingerprint, ...certificates.map(({ fingerprint }) => fingerprint)];
    return {
      device,
      certificates,
      ...(keys === undefined ? {} : { keys }),
      ...(profile === undefined ? {} : { profile }),
      ...(activity === undefined ? {} : { activity }),
      refusals: await newestRefusals(refusals, { account, device, fingerprints }),
      unavailable: [...unavailable],
    };
  };
}

/**
 * By device id, and by each certificate of the device: a listener that knew only the certificate counts too. Refusals
 * reported to another account, or of a certificate before this account had the device, are left out.
 */
async function newestRefusals(
  refusals: Deps['refusals'],
  asked: { readonly account: string; readonly device: Device; readonly fingerprints: readonly string[] },
): Promise<RefusalRecord[]> {
  const { account, device, fingerprints } = asked;
  const { deviceId, claimedAt = device.manufacturedAt } = device;
  const isOwn = (refusal: RefusalRecord) =>
    refusal.account === account || (refusal.account === PLATFORM_ACCOUNT && refusal.at >= claimedAt);
  const newest = { descending: true, limit: SHOWN_REFUSALS } as const;
  const pages = await Promise.all([
    refusals.find({ index: 'byDevice', equals: { account, deviceId }, ...newest }),
    ...fingerprints.map((fingerprint) =>
      refusals.find({ index: 'byFingerprint', equals: { fingerprint }, ...newest }),
    ),
  ]);
  const found = new Map(
    pages.flatMap(({ items }) => items.filter(isOwn).map((refusal) => [refusal.id, refusal] as const)),
  );
  return [...found.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, SHOWN_REFUSALS);
}
