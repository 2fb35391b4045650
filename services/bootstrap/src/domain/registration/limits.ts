import { withFreeNumber } from './free-number.ts';
import type { CertificateDocument } from './registration-certificate.ts';
import { RegistrationError } from './registration-error.ts';
import { isExpired, type RegistrationDocument, type Registrations } from './registration-request.ts';

const PURGE = 1000;

/**
 * Writes one more request that waits, if it may. Requests that expired are thrown away first.
 * @throws RegistrationError `limit-reached`, `request-limit-reached`
 */
export async function withinQuota<T>(
  { registrations, now }: { readonly registrations: Registrations; readonly now: () => number },
  certificate: CertificateDocument,
  write: (waitingNumber: number) => Promise<T>,
): Promise<T> {
  await requireBudget(registrations, certificate);
  return withWaitingNumber({ registrations, now }, certificate, write);
}

/**
 * Writes one more request that waits, of a device that counts already below the certificate's limit. A device that was
 * reset, and whose request expired, is as it was before it asked.
 * @throws RegistrationError `request-limit-reached`
 */
export async function withWaitingNumber<T>(
  { registrations, now }: { readonly registrations: Registrations; readonly now: () => number },
  certificate: CertificateDocument,
  write: (waitingNumber: number) => Promise<T>,
): Promise<T> {
  const waiting = {
    index: 'byCertificate',
    equals: { certificateId: certificate.id, state: 'waiting' },
  } as const;
  const expired = await registrations.find({ ...waiting, to: new Date(now()).toISOString(), limit: PURGE });
  for (const { id, fingerprint } of expired.items)
    if (fingerprint === undefined) await registrations.remove(id, (current) => isExpired(current, now()));
    else await registrations.update(id, (current) => withoutRequest(current, now()));
  const wanted = {
    certificateId: certificate.id,
    field: 'waitingNumber',
    limit: certificate.maxWaiting,
  } as const;
  const written = await withFreeNumber(registrations, wanted, async (number) => ({
    done: await write(number),
  }));
  if (written !== undefined) return written.done;
  throw new RegistrationError(
    'request-limit-reached',
    `certificate: ${certificate.maxWaiting} requests of "${certificate.name}" wait for an operator already`,
  );
}

function withoutRequest(current: RegistrationDocument, now: number) {
  if (!isExpired(current, now)) return undefined;
  const { waitingNumber: _number, ...rest } = current;
  return { document: { ...rest, state: 'issued' as const } };
}

/**
 * Writes an approval, if the certificate may register one more device.
 * @throws RegistrationError `limit-reached`
 */
export async function withDeviceNumber<T>(
  registrations: Registrations,
  certificate: CertificateDocument | undefined,
  write: (deviceNumber: number | undefined) => Promise<T>,
): Promise<T> {
  if (certificate?.limit === undefined) return write(undefined);
  const { id: certificateId, limit } = certificate;
  await requireBudget(registrations, certificate);
  const wanted = { certificateId, field: 'deviceNumber', limit } as const;
  const written = await withFreeNumber(registrations, wanted, async (number) => ({
    done: await write(number),
  }));
  if (written !== undefined) return written.done;
  throw limitReached(certificate, limit);
}

/** @throws RegistrationError `limit-reached` where as many devices are approved as it may register */
async function requireBudget(
  registrations: Pick<Registrations, 'count'>,
  certificate: CertificateDocument,
): Promise<void> {
  const { id: certificateId, limit } = certificate;
  if (limit === undefined) return;
  const countOf = (state: 'approved' | 'issued') =>
    registrations.count({ index: 'byCertificate', equals: { certificateId, state } });
  const used = (await countOf('approved')) + (await countOf('issued'));
  if (used >= limit) throw limitReached(certificate, limit);
}

function limitReached({ name }: CertificateDocument, limit: number): RegistrationError {
  return new RegistrationError(
    'limit-reached',
    `certificate: "${name}" may register ${limit} devices, and has registered as many`,
  );
}
