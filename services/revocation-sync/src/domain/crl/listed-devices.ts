import {
  Account,
  applyCrlToDevices,
  DeviceId,
  identifyCertificates,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import type { Asks } from '../devices/identify.ts';
import type { CrlTargets } from './crl-targets.ts';
import type { SourceRecord } from './source-record.ts';

/**
 * Which device was seen with a certificate that no CA of ours has on record: what a CRL says of its serial number is
 * said of that device. Its id is `<key id of the issuer>/<serial number>`.
 */
export const Sighting = z.object({ id: z.string(), account: Account, deviceId: DeviceId });
export type Sighting = z.infer<typeof Sighting>;
export type Sightings = Collection<Sighting, never>;

export function sightingId(issuerKeyId: string, serialNumber: string): string {
  return `${issuerKeyId}/${serialNumber}`;
}

const DEADLINE_MS = 60_000;

/** Certificates that a CRL lists, and those that left it. */
export type CrlDifference = {
  readonly listed: readonly { readonly serialNumber: string; readonly reason: string }[];
  readonly unlisted: readonly string[];
};

export type ListedContext = Asks & {
  readonly sightings: Sightings;
  readonly source: Pick<SourceRecord, 'account' | 'name' | 'issuerKeyId'>;
  /** Of the CRL, decimal, where it has one. */
  readonly number: string | undefined;
  readonly targets: Pick<CrlTargets, 'factories' | 'issuing'>;
};

type Holder = { readonly account: string; readonly deviceId: string };

/** Reports to the owner of the devices which of them a CRL lists, at most 1000 at a time, by whichever of their certificates. */
export async function reportListed(ctx: ListedContext, { listed, unlisted }: CrlDifference): Promise<void> {
  const { bus, source, number, targets } = ctx;
  if (targets.factories.length === 0 && targets.issuing === 'none') return;
  if (listed.length + unlisted.length === 0) return;
  const serials = [...listed.map(({ serialNumber }) => serialNumber), ...unlisted];
  const holders = await holdersOf(ctx, serials);
  await bus.request(
    applyCrlToDevices,
    {
      ...{ account: source.account, source: source.name, issuerKeyId: source.issuerKeyId },
      ...(number === undefined ? {} : { number }),
      ...{ authorityIds: [...targets.factories], listed: [...listed], unlisted: [...unlisted] },
      holders: {
        listed: listed.flatMap(({ serialNumber, reason }) => {
          const holder = holders.get(serialNumber);
          return holder === undefined ? [] : [{ ...holder, serialNumber, reason }];
        }),
        unlisted: unlisted.flatMap((serialNumber) => {
          const holder = holders.get(serialNumber);
          return holder === undefined ? [] : [{ ...holder, serialNumber }];
        }),
      },
    },
    { deadlineMs: DEADLINE_MS },
  );
}

/** Who holds which operational certificate, by its serial number, as far as anybody knows. */
async function holdersOf(
  { bus, sightings, source, targets }: ListedContext,
  serialNumbers: readonly string[],
): Promise<ReadonlyMap<string, Holder>> {
  const { issuerKeyId } = source;
  const found: (Holder & { readonly serialNumber: string })[] = [];
  if (targets.issuing === 'here') {
    const asked = { issuerKeyId, serialNumbers: [...serialNumbers] };
    found.push(...(await bus.request(identifyCertificates, asked)).certificates);
  }
  if (targets.issuing === 'elsewhere') {
    const seen = await Promise.all(
      serialNumbers.map(async (serialNumber) => {
        const sighting = await sightings.get(sightingId(issuerKeyId, serialNumber));
        return sighting === undefined ? [] : [{ ...sighting, serialNumber }];
      }),
    );
    found.push(...seen.flat());
  }
  const isOwn = ({ account }: Holder) => source.account === PLATFORM_ACCOUNT || account === source.account;
  return new Map(
    found
      .filter(isOwn)
      .map(({ serialNumber, account, deviceId }) => [serialNumber, { account, deviceId }] as const),
  );
}
