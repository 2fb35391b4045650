import type { Bus, Subscription } from '@signet/bus';
import { listAuthorities, type SignetEvent } from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import { StoreError } from '@signet/store';
import { sourceOfCause } from '../domain/crl/crl-cause.ts';
import { type Sightings, sightingId } from '../domain/crl/sighting.ts';
import type { SourceRecord, Sources } from '../domain/crl/source-record.ts';
import type { DenyLedger } from '../domain/deny-ledger.ts';

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** An operational certificate, and the device that showed it. */
type Shown = {
  readonly issuerKeyId: string;
  readonly serialNumber: string;
  readonly account: string;
  readonly deviceId: string;
};

export type ContactParts = {
  readonly bus: Bus;
  readonly ledger: DenyLedger;
  readonly sources: Sources;
  readonly sightings: Sightings;
  /** Tells the owner of the devices what a CRL of a source says of a certificate. */
  readonly tell: (
    source: SourceRecord,
    number: string | undefined,
    said: { listed: { serialNumber: string; reason: string }[]; unlisted: string[] },
  ) => Promise<void>;
};

/**
 * Learns whose certificates they are that a CA made whose key is elsewhere: from who connects with them, and from who is
 * refused with one that is listed already. The first such word of a listed certificate blocks its device (F30).
 */
export async function followContacts(parts: ContactParts): Promise<Subscription[]> {
  const { bus } = parts;
  const isElsewhere = keysElsewhere(bus);
  const learn = async (shown: Shown) => {
    if (!(await isElsewhere(shown.issuerKeyId))) return;
    await note(parts.sightings, shown);
    await tellOfListed(parts, shown);
  };
  return [
    await bus.consume(
      { durable: 'revocation-sync-contacts', types: ['DEVICE_CONNECTED'], maxDeliveries },
      async (event) => {
        if (event.type === 'DEVICE_CONNECTED') await learn({ ...event.data, account: event.account });
      },
    ),
    await bus.consume(
      {
        durable: 'revocation-sync-refusals',
        types: ['DEVICE_REFUSED', 'ENROLLMENT_REFUSED', 'BOOTSTRAP_REFUSED'],
        maxDeliveries,
      },
      async (event) => {
        const shown = deniedCertificate(event);
        if (shown !== undefined) await learn(shown);
      },
    ),
  ];
}

function deniedCertificate({ type, account, data }: SignetEvent): Shown | undefined {
  if (type !== 'DEVICE_REFUSED' && type !== 'ENROLLMENT_REFUSED' && type !== 'BOOTSTRAP_REFUSED') return;
  const { code, deviceId, serialNumber, issuerKeyId } = data as SignetEvent<'DEVICE_REFUSED'>['data'];
  if (code !== 'denied' || deviceId === undefined) return undefined;
  if (serialNumber === undefined || issuerKeyId === undefined) return undefined;
  return { account, deviceId, serialNumber, issuerKeyId };
}

/** Whether operational certificates of the CA with a key are not on record here; asked anew for a CA that is new. */
function keysElsewhere(bus: Bus): (keyId: string) => Promise<boolean> {
  let known = new Map<string, boolean>();
  return async (keyId) => {
    if (!known.has(keyId)) {
      const { authorities } = await bus.request(listAuthorities, {});
      known = new Map(
        authorities.map(({ kind, subjectKeyId, keyElsewhere }) => [
          subjectKeyId,
          kind === 'issuing' && keyElsewhere === true,
        ]),
      );
    }
    return known.get(keyId) === true;
  };
}

async function note(sightings: Sightings, shown: Shown): Promise<void> {
  const { account, deviceId, issuerKeyId, serialNumber } = shown;
  const id = sightingId(issuerKeyId, serialNumber);
  if ((await sightings.get(id)) !== undefined) return;
  try {
    await sightings.insert({ id, account, deviceId });
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
  }
}

async function tellOfListed(parts: ContactParts, { issuerKeyId, serialNumber }: Shown): Promise<void> {
  const { ledger, sources, tell } = parts;
  const key = denyKey({ kind: 'certificate', issuerKeyId, serialNumber });
  for (const { cause, reason, crlNumber } of (await ledger.state(key))?.holds ?? []) {
    const id = sourceOfCause(cause);
    const source = id === undefined ? undefined : await sources.get(id);
    if (source === undefined) continue;
    await tell(source, crlNumber, { listed: [{ serialNumber, reason }], unlisted: [] });
    // It may have left the CRL meanwhile, and the device been told of that before.
    const isListed = (await ledger.state(key))?.holds.some((hold) => hold.cause === cause) ?? false;
    if (!isListed) await tell(source, crlNumber, { listed: [], unlisted: [serialNumber] });
  }
}
