import type { Bus } from '@signet/bus';
import { type IssuedCertificate, listCertificates, OperationError } from '@signet/contracts';
import { BACKDATED_MS, encodePem, parseCertificatePem } from '@signet/pki';
import { issued } from '../domain/rotation/rotation.ts';
import { change, type Rings } from './keys.ts';

const DEADLINE_MS = 2000;

/**
 * What the issuer has on record of a certificate that a device showed, taken up as its event would be. The certificate
 * was verified; that the record is of the same key is looked at.
 */
export async function lookUpCertificate(
  deps: { readonly bus: Pick<Bus, 'request'>; readonly rings: Rings; readonly now: () => number },
  { account, deviceId }: { readonly account: string; readonly deviceId: string },
  shown: { readonly serialNumber: string; readonly publicKeyHash: string },
): Promise<'learned' | 'unknown' | 'unavailable'> {
  let record: IssuedCertificate | undefined;
  try {
    record = await recordOf(deps.bus, { account, deviceId }, shown.serialNumber);
  } catch (error) {
    if (error instanceof OperationError) return 'unavailable';
    throw error;
  }
  if (record === undefined || record.publicKeyHash !== shown.publicKeyHash) return 'unknown';
  if (record.revokedAt !== undefined) return 'unavailable';
  const { certificate, publicKeyHash, serialNumber } = record;
  const { spkiDer, notBefore } = parseCertificatePem(certificate);
  const key = {
    ...{ publicKey: encodePem('PUBLIC KEY', spkiDer), publicKeyHash, serialNumber },
    since: new Date(notBefore + BACKDATED_MS).toISOString(),
  };
  await change(deps.rings, account, deviceId, (ring) => issued(ring, key, deps.now()));
  return 'learned';
}

async function recordOf(
  bus: Pick<Bus, 'request'>,
  device: { readonly account: string; readonly deviceId: string },
  serialNumber: string,
): Promise<IssuedCertificate | undefined> {
  let cursor: string | undefined;
  do {
    const page = await bus.request(
      listCertificates,
      { ...device, limit: 200, ...(cursor === undefined ? {} : { cursor }) },
      { deadlineMs: DEADLINE_MS },
    );
    const found = page.items.find((item) => item.serialNumber === serialNumber);
    if (found !== undefined) return found;
    cursor = page.next;
  } while (cursor !== undefined);
  return undefined;
}
