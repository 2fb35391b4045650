import { listAuthorities, type SignetEvent } from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import { insertIfAbsent } from '@signet/store';
import type { Asks } from '../devices/identify.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { crlTargets } from './crl-targets.ts';
import { reportListed, type Sightings, sightingId } from './listed-devices.ts';
import { type Sources, sourceOfCause } from './source-record.ts';

/** An operational certificate, and the device that showed it. */
export type ShownCertificate = {
  readonly issuerKeyId: string;
  readonly serialNumber: string;
  readonly account: string;
  readonly deviceId: string;
};

type SightingContext = Asks & {
  readonly ledger: Ledger;
  readonly sources: Sources;
  readonly sightings: Sightings;
  /** Key id of a CA → whether its operational certificates are on record elsewhere. */
  readonly externalCas: Map<string, boolean>;
};

/**
 * Learns whose the certificates are that a CA made whose key is kept elsewhere: from devices that connect with them, and
 * from those that are rejected with one that is listed already. The first sighting of a listed certificate blocks its
 * device (F30).
 */
export async function learnHolder(ctx: SightingContext, shown: ShownCertificate): Promise<void> {
  const { account, deviceId, issuerKeyId, serialNumber } = shown;
  if (!(await isExternal(ctx, issuerKeyId))) return;
  const id = sightingId(issuerKeyId, serialNumber);
  if ((await ctx.sightings.get(id)) === undefined)
    await insertIfAbsent(ctx.sightings, { id, account, deviceId });
  await reportHolder(ctx, shown);
}

/** The certificate that a refusal was about, if it was denied. */
export function deniedCertificate({ type, account, data }: SignetEvent): ShownCertificate | undefined {
  if (type !== 'DEVICE_REFUSED' && type !== 'ENROLLMENT_REFUSED' && type !== 'BOOTSTRAP_REFUSED') return;
  const { code, deviceId, serialNumber, issuerKeyId } = data as SignetEvent<'DEVICE_REFUSED'>['data'];
  if (code !== 'denied' || deviceId === undefined) return undefined;
  if (serialNumber === undefined || issuerKeyId === undefined) return undefined;
  return { account, deviceId, serialNumber, issuerKeyId };
}

/** Asked anew for a CA that is new. */
async function isExternal({ bus, externalCas }: SightingContext, keyId: string): Promise<boolean> {
  if (!externalCas.has(keyId)) {
    const { authorities } = await bus.request(listAuthorities, {});
    externalCas.clear();
    for (const { kind, subjectKeyId, keyElsewhere } of authorities)
      externalCas.set(subjectKeyId, kind === 'issuing' && keyElsewhere === true);
  }
  return externalCas.get(keyId) === true;
}

/** Reports the holder of a certificate that CRLs list to the owner of the devices. */
async function reportHolder(ctx: SightingContext, { issuerKeyId, serialNumber }: ShownCertificate) {
  const { bus, ledger, sources, sightings } = ctx;
  const key = denyKey({ kind: 'certificate', issuerKeyId, serialNumber });
  for (const { cause, reason, crlNumber: number } of (await ledger.state(key))?.holds ?? []) {
    const id = sourceOfCause(cause);
    const source = id === undefined ? undefined : await sources.get(id);
    if (source === undefined) continue;
    const report = async (listed: { serialNumber: string; reason: string }[], unlisted: string[]) => {
      const { authorities } = await bus.request(listAuthorities, {});
      const targets = crlTargets(source, authorities);
      await reportListed({ bus, sightings, source, number, targets }, { listed, unlisted });
    };
    await report([{ serialNumber, reason }], []);
    // it may have left the CRL meanwhile, and that have been reported before
    const isListed = (await ledger.state(key))?.holds.some((hold) => hold.cause === cause) ?? false;
    if (!isListed) await report([], [serialNumber]);
  }
}
