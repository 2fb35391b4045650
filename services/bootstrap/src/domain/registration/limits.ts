import type { CertificateDocument } from './registration-certificate.ts';
import { RegistrationError } from './registration-error.ts';
import type { Registrations } from './registration-request.ts';

const PURGE = 1000;

/**
 * Whether one more request may wait. Requests that expired are thrown away first.
 * @throws RegistrationError `limit-reached`, `request-limit-reached`
 */
export async function requireRoom(
  { registrations, now }: { readonly registrations: Registrations; readonly now: () => number },
  certificate: CertificateDocument,
): Promise<void> {
  await requireBudget(registrations, certificate);
  const waiting = {
    index: 'byCertificate',
    equals: { certificateId: certificate.id, state: 'waiting' },
  } as const;
  const expired = await registrations.find({ ...waiting, to: new Date(now()).toISOString(), limit: PURGE });
  for (const { id } of expired.items) await registrations.remove(id);
  if ((await registrations.count(waiting)) < certificate.maxWaiting) return;
  throw new RegistrationError(
    'request-limit-reached',
    `certificate: ${certificate.maxWaiting} requests of "${certificate.name}" wait for an operator already`,
  );
}

/** @throws RegistrationError `limit-reached` where as many devices are approved as it may register */
export async function requireBudget(
  registrations: Pick<Registrations, 'count'>,
  { id: certificateId, name, limit }: CertificateDocument,
): Promise<void> {
  if (limit === undefined) return;
  const countOf = (state: 'approved' | 'issued') =>
    registrations.count({ index: 'byCertificate', equals: { certificateId, state } });
  const used = (await countOf('approved')) + (await countOf('issued'));
  if (used < limit) return;
  throw new RegistrationError(
    'limit-reached',
    `certificate: "${name}" may register ${limit} devices, and has registered ${used}`,
  );
}
