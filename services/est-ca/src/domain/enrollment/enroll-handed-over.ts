import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { isLive } from '../certificate/certificate.ts';
import { readCsr } from './csr-policy.ts';
import { type EnrollDeps, enroll } from './enroll.ts';

/**
 * An enrolment by the CSR of a bootstrap request, with the grant that the hand-over just made; all that the profile
 * says holds. A device that asks again because the answer was lost gets the certificate that its key has.
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export async function enrollHandedOver(
  deps: EnrollDeps & { readonly certificates: Pick<Certificates, 'find'> },
  request: {
    readonly account: string;
    readonly deviceId: string;
    readonly username: string;
    readonly grant: string;
    /** DER. */
    readonly csr: Uint8Array;
  },
): Promise<CertificateRecord> {
  const { account, deviceId, username, grant, csr } = request;
  const { publicKeyHash } = readCsr(csr);
  const held = await deps.certificates.find({
    index: 'device',
    equals: { account, deviceId },
    descending: true,
    limit: 20,
  });
  const now = deps.now();
  const known = held.items.find((record) => record.publicKeyHash === publicKeyHash && isLive(record, now));
  if (known !== undefined) return known;
  const { record } = await enroll(deps, {
    csr,
    label: undefined,
    basic: { username, password: grant },
    peer: undefined,
    channelBinding: () => undefined,
  });
  return record;
}
