import type { VerifiedPeer } from '@signet/pki';
import type { Collection } from '@signet/store';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import type { FindProfile } from '../profile/find-profile.ts';
import { type Label, parseLabel } from '../profile/label.ts';
import type { Profile } from '../profile/profile.ts';
import { renewalTime } from '../renewal/expired-renewal.ts';
import { type RenewalGrants, useRenewalGrant } from '../renewal/renewal-grant.ts';
import { type CertifyDeps, certify } from './certify.ts';
import { admitCsr, readCsr } from './csr-policy.ts';
import type { Enrolled } from './enroll.ts';
import { EnrollmentError, onBehalfOf } from './enrollment-error.ts';
import { type ChannelBinding, requireLinking, verifyOptionalBinding } from './linking.ts';
import { type Renewal, reserveRenewal } from './renewal.ts';
import { renewedNames } from './subject.ts';

/** Tells whoever keeps the devices' keys of a next one. @throws EnrollmentError `unavailable`, `third-key` */
export type AnnounceNextKey = (current: CertificateRecord, next: CertificateRecord) => Promise<void>;

export type ReenrollDeps = CertifyDeps & {
  readonly renewals: Pick<Collection<Renewal>, 'insert' | 'update'>;
  readonly renewalGrants: Pick<RenewalGrants, 'update'>;
  readonly findProfile: FindProfile;
  readonly announceNextKey: AnnounceNextKey;
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
 * is answered, so that the device is admitted with it as soon as it has it.
 * @throws EnrollmentError whatever it refuses
 */
export async function reenroll(deps: ReenrollDeps, request: ReenrollRequest): Promise<Enrolled> {
  const peer = operational(request.peer);
  return onBehalfOf(peer, async () => {
    checkLabel(peer, request.label);
    const csr = readCsr(request.csr);
    verifyOptionalBinding(csr.challengePassword, request.channelBinding);
    const current = await currentRecord(deps.certificates, peer);
    const profile = await profileOf(deps.findProfile, request.label, current);
    requireLinking(profile, csr.challengePassword, request.channelBinding);
    admitCsr(csr, profile);
    const names = renewedNames(csr, peer.certificate);
    const { notAfter } = peer.certificate;
    const needsGrant = renewalTime({ notAfter }, profile, deps.now()) === 'needs-grant';

    const { account, deviceId, serialNumber: currentSerialNumber } = current;
    const keyChanged = csr.publicKeyHash !== current.publicKeyHash;
    const issued = await certify(deps, {
      account,
      deviceId,
      profile,
      proof: current.fingerprint,
      csr,
      askedKeyHash: csr.publicKeyHash,
      key: { spkiDer: csr.spkiDer, publicKeyHash: csr.publicKeyHash, type: csr.keyType },
      names,
      peer,
      renews: { serialNumber: currentSerialNumber, keyChanged },
      reserve: async (reservation) => {
        const now = Date.parse(reservation.issuedAt);
        const { publicKeyHash } = reservation;
        if (needsGrant)
          await useRenewalGrant(deps.renewalGrants, { account, deviceId }, { publicKeyHash, notAfter, now });
        return reserveRenewal(deps.renewals, { account, deviceId, currentSerialNumber, reservation }, now);
      },
    });
    if (keyChanged) await deps.announceNextKey(current, issued.record);
    return { ...issued, profile };
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

async function currentRecord(
  certificates: Pick<Certificates, 'get'>,
  peer: OperationalPeer,
): Promise<CertificateRecord> {
  const record = await certificates.get(peer.certificate.serialNumber);
  if (record === undefined || record.fingerprint !== peer.facts.fingerprint)
    throw new EnrollmentError(
      'unknown-device',
      `certificate: ${peer.certificate.serialNumber} is not on the record of issued certificates`,
    );
  if (record.revokedAt !== undefined)
    throw new EnrollmentError(
      'revoked',
      `certificate: ${record.serialNumber} was revoked at ${record.revokedAt} (${record.revocationReason})`,
    );
  return record;
}

/** The profile that the label names; without one, that of the current certificate, or the default where it is gone. */
async function profileOf(
  findProfile: FindProfile,
  label: Label | undefined,
  { account, profile }: CertificateRecord,
): Promise<Profile> {
  if (label !== undefined) return findProfile(label);
  return findProfile(parseLabel(profile) ?? { account, profile: 'default' }).catch((error: unknown) => {
    if (!(error instanceof EnrollmentError && error.code === 'unknown-profile')) throw error;
    return findProfile({ account, profile: 'default' });
  });
}
