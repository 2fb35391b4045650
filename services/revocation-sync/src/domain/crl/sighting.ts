import { Account, DeviceId } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/**
 * Which device was seen with a certificate that no CA of ours has on record: what a CRL says of its serial number is
 * said of that device. Its id is `<key id of the issuer>/<serial number>`.
 */
export const Sighting = z.object({ id: z.string(), account: Account, deviceId: DeviceId });
export type Sighting = z.infer<typeof Sighting>;

export const sightingRecords = {
  name: 'revocation-sync.sightings',
  schema: Sighting,
  indexes: {},
} satisfies CollectionSpec<Sighting>;
export type Sightings = Collection<Sighting, never>;

export function sightingId(issuerKeyId: string, serialNumber: string): string {
  return `${issuerKeyId}/${serialNumber}`;
}
