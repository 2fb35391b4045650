import type { Bus } from '@signet/bus';
import { applyCrlToDevices, identifyCertificates, PLATFORM_ACCOUNT } from '@signet/contracts';
import { type Sightings, sightingId } from '../../domain/crl/sighting.ts';
import type { SourceRecord } from '../../domain/crl/source-record.ts';
import type { CrlTargets } from './crl-targets.ts';

const DEADLINE_MS = 60_000;

export type Said = {
  readonly listed: readonly { readonly serialNumber: string; readonly reason: string }[];
  readonly unlisted: readonly string[];
};

export type TellParts = {
  readonly bus: Bus;
  readonly sightings: Sightings;
  readonly source: Pick<SourceRecord, 'account' | 'name' | 'issuerKeyId'>;
  /** Of the CRL, decimal, where it has one. */
  readonly number: string | undefined;
  readonly targets: Pick<CrlTargets, 'factories' | 'issuing'>;
};

type Holder = { readonly account: string; readonly deviceId: string };

/** Tells the owner of the devices which of them a CRL lists, at most 1000 at a time, by whichever of their certificates. */
export async function tellDevices(parts: TellParts, { listed, unlisted }: Said): Promise<void> {
  const { bus, source, number, targets } = parts;
  if (targets.factories.length === 0 && targets.issuing === 'none') return;
  if (listed.length + unlisted.length === 0) return;
  const serials = [...listed.map(({ serialNumber }) => serialNumber), ...unlisted];
  const holders = await holdersOf(parts, serials);
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
  { bus, sightings, source, targets }: TellParts,
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
