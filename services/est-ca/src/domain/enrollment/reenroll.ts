import type { VerifiedPeer } from '@signet/pki';
import type { RequireAttestation } from '../attestation/require-attestation.ts';
import { type DeviceProfiles, profileInForce, requireLabel } from '../profile/device-profile.ts';
import type { FindProfile } from '../profile/find-profile.ts';
import type { Label } from '../profile/label.ts';
import { admitKey } from './admit-key.ts';
import { readCsr } from './csr-policy.ts';
import { currentRecord } from './current-record.ts';
import type { Enrolled } from './enroll.ts';
import { EnrollmentError, onBehalfOf } from './enrollment-error.ts';
import { type ChannelBinding, requireLinking, verifyOptionalBinding } from './linking.ts';
import { type RenewDeps, renewCertificate } from './renew-certificate.ts';
import { renewedNames } from './subject.ts';

export type ReenrollDeps = RenewDeps & {
  readonly requireAttestation: RequireAttestation;
  readonly findProfile: FindProfile;
  readonly deviceProfiles: Pick<DeviceProfiles, 'get'>;
};

export type ReenrollRequest = {
  /** DER of the PKCS#10 request. */
  readonly csr: Uint8Array;
  readonly label: Label | undefined;
  readonly peer: VerifiedPeer | undefined;
  readonly channelBinding: ChannelBinding;
};

/**
 * RFC 7030 §4.2.2. The old key vouches by TLS, the new one by the CSR's signature. A new key is announced before it
 * is answered, so that the device is admitted with it as soon as it has it. The profile is that of the current
 * certificate, or where an operator moved the device: the label never chooses another.
 * @throws EnrollmentError whatever it refuses
 */
export async function reenroll(deps: ReenrollDeps, request: ReenrollRequest): Promise<Enrolled> {
  const peer = operational(request.peer);
  return onBehalfOf(peer, async () => {
    checkLabel(peer, request.label);
    const csr = readCsr(request.csr);
    verifyOptionalBinding(csr.challengePassword, request.channelBinding);
    const current = await currentRecord(deps.certificates, peer.facts);
    const inForce = await profileInForce(deps, current);
    await requireLabel(deps.findProfile, inForce, request.label);
    requireLinking(inForce.profile, csr.challengePassword, request.channelBinding);
    const { profile, attestation } = await admitKey(deps, csr, current, inForce.profile);
    const names = renewedNames(csr, peer.certificate);
    return renewCertificate(deps, { current, csr, profile, attestation, names, peer });
  });
}

type OperationalPeer = VerifiedPeer & { readonly account: string };

function operational(peer: VerifiedPeer | undefined): OperationalPeer {
  if (peer === undefined)
    throw new EnrollmentError(
      'no-certificate',
      'certificate: a renewal needs the current one in the TLS handshake',
    );
  if (peer.purpose !== 'operational' || peer.account === undefined)
    throw new EnrollmentError('wrong-purpose', 'certificate: a bootstrap certificate renews nothing');
  return peer as OperationalPeer;
}

function checkLabel(peer: OperationalPeer, label: Label | undefined): void {
  if (label !== undefined && label.account !== peer.account)
    throw new EnrollmentError(
      'wrong-account',
      `label: the certificate is not one of account "${label.account}"`,
    );
}
