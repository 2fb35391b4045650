import { parseCertificatePem } from '@signet/pki';
import { profileInForce } from '../profile/device-profile.ts';
import { admitKey } from './admit-key.ts';
import { certify } from './certify.ts';
import { readCsr } from './csr-policy.ts';
import { currentRecord } from './current-record.ts';
import type { EnrollDeps, Enrolled } from './enroll.ts';
import { EnrollmentError, onBehalfOf } from './enrollment-error.ts';
import { requireLinking } from './linking.ts';
import type { ReenrollDeps } from './reenroll.ts';
import { renewCertificate } from './renew-certificate.ts';
import { enrolledNames } from './subject.ts';

/** None of these protocols has a place for a channel binding: a profile that requires one is not served over them. */
const noBinding = () => undefined;

type Device = { readonly account: string; readonly deviceId: string };

/**
 * A first certificate for a device that the bootstrap service vouches for: an operator approved its registration, which
 * is the approval, too, that a profile may want. All else is as the profile says. The record takes the given serial
 * number and is the compare-and-set: the same key may come again, another key may not.
 * @throws EnrollmentError whatever it refuses
 */
export async function enrollVouched(
  deps: EnrollDeps,
  request: Device & {
    /** DER of the PKCS#10 request. */
    readonly csr: Uint8Array;
    readonly serialNumber: string;
    readonly profile: string;
    readonly organizationalUnit?: string | undefined;
    /** Fingerprint of the bootstrap certificate that the registration gave the device. */
    readonly identity?: string | undefined;
    /** When the device was reset, if it was since. */
    readonly resetAt?: string | undefined;
  },
): Promise<Enrolled> {
  const { account, deviceId, serialNumber, organizationalUnit, identity, resetAt } = request;
  return onBehalfOf(request, async () => {
    const asked = await deps.findProfile({ account, profile: request.profile });
    const csr = readCsr(request.csr);
    requireLinking(asked, csr.challengePassword, noBinding);
    const { profile: admitted, attestation } = await admitKey(deps, csr, request, asked);
    const profile = {
      ...admitted,
      approval: 'none' as const,
      ...(organizationalUnit === undefined
        ? {}
        : { subjectAttributes: { ...admitted.subjectAttributes, organizationalUnit } }),
    };
    const issued = await certify(deps, {
      account,
      deviceId,
      profile,
      attestation,
      proof: serialNumber,
      csr,
      askedKeyHash: csr.publicKeyHash,
      key: { spkiDer: csr.spkiDer, publicKeyHash: csr.publicKeyHash, type: csr.keyType },
      names: enrolledNames(csr, request, profile, deps.trustDomain),
      peer: undefined,
      entry: { by: 'registration', identity, resetAt },
      reserve: async (proposed) => ({ ...proposed, serialNumber }),
    });
    if (issued.record.account !== account || issued.record.deviceId !== deviceId)
      throw new EnrollmentError('wrong-account', `serialNumber: ${serialNumber} is that of another device`);
    return { ...issued, profile };
  });
}

/**
 * A renewal of a device that showed its certificate to the bootstrap service, over a protocol whose CSR does not repeat
 * the Subject: names are those of the current certificate.
 * @throws ApprovalPending; EnrollmentError whatever it refuses
 */
export async function renewVouched(
  deps: ReenrollDeps,
  request: Device & {
    readonly csr: Uint8Array;
    /** Of the certificate that the device showed. */
    readonly serialNumber: string;
    readonly fingerprint: string;
  },
): Promise<Enrolled> {
  const { account, deviceId } = request;
  return onBehalfOf(request, async () => {
    const current = await currentRecord(deps.certificates, request);
    if (current.account !== account || current.deviceId !== deviceId)
      throw new EnrollmentError('wrong-account', 'certificate: is that of another device');
    const csr = readCsr(request.csr);
    const inForce = await profileInForce(deps, current);
    requireLinking(inForce.profile, csr.challengePassword, noBinding);
    const { profile, attestation } = await admitKey(deps, csr, current, inForce.profile);
    const { subjectDer, sans } = parseCertificatePem(current.certificate);
    const names = { subjectDer, subjectAltNames: sans };
    if (csr.subject.commonName !== undefined && csr.subject.commonName !== deviceId)
      throw new EnrollmentError(
        'wrong-subject',
        `subject CN: "${csr.subject.commonName}" is not the device "${deviceId}"`,
      );
    return renewCertificate(deps, { current, csr, profile, attestation, names, peer: undefined });
  });
}
