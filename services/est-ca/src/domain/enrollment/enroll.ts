import { type Csr, parseCertificatePem, type VerifiedPeer } from '@signet/pki';
import type { Collection } from '@signet/store';
import type { Attestation, RequireAttestation } from '../attestation/require-attestation.ts';
import { type CertificateRecord, type Certificates, isLive } from '../certificate/certificate.ts';
import { type Basis, type Issued, renewsOf } from '../certificate/issue.ts';
import { type Renewal, reserveRenewal } from '../certificate/reservation.ts';
import { EnrollmentError, onBehalfOf } from '../enrollment-error.ts';
import { type DeviceProfiles, profileInForce, requireLabel } from '../profile/device-profile.ts';
import type { FindProfile, Label, Profile } from '../profile/profile.ts';
import {
  profileOfRenewal,
  type RenewalGrants,
  type RenewalOrders,
  useRenewalGrant,
} from '../renewal/renewal-orders.ts';
import { renewalTime } from '../renewal/renewal-times.ts';
import { type Applicant, type ApplicantDeps, type GrantCredentials, identify } from './authenticate.ts';
import {
  admitKey,
  type ChannelBinding,
  readCsr,
  requireLinking,
  verifyOptionalBinding,
} from './csr-policy.ts';
import { type CertifyDeps, certify } from './issue-certificate.ts';
import { currentRecord } from './proof.ts';
import { type CertifiedNames, enrolledNames, renewedNames } from './subject.ts';

export type EnrollDeps = ApplicantDeps &
  CertifyDeps & {
    readonly requireAttestation: RequireAttestation;
    /** Trust domain of SPIFFE ids. */
    readonly trustDomain: string;
    readonly announceNextKey: AnnounceNextKey;
  };

/** What became of an enrolment, and the profile that it was made under. */
export type Enrolled = Issued & { readonly profile: Profile };

export type EnrollRequest = {
  /** DER of the PKCS#10 request. */
  readonly csr: Uint8Array;
  readonly label: Label | undefined;
  readonly basic: GrantCredentials['basic'];
  readonly peer: VerifiedPeer | undefined;
  /** Of the connection that it came on. */
  readonly channelBinding: ChannelBinding;
};

/**
 * RFC 7030 §4.2.1. What the device proved itself by is bound to the key at the latest by the commit that records the
 * certificate. Whatever fails, the same request made again ends with the recorded certificate, and no other is handed out.
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export async function enroll(deps: EnrollDeps, request: EnrollRequest): Promise<Enrolled> {
  const csr = readCsr(request.csr);
  const applicant = await identify(deps, {
    credentials: credentialsOf(request, csr.challengePassword),
    label: request.label,
    peer: request.peer,
  });
  return onBehalfOf(applicant, async () => {
    requireLinking(applicant.profile, csr.challengePassword, request.channelBinding);
    const { profile, attestation } = await admitKey(deps, csr, applicant, applicant.profile);
    const issued = await certify(deps, {
      ...applicant,
      ...basisOf(applicant, csr.publicKeyHash),
      profile,
      attestation,
      csr,
      askedKeyHash: csr.publicKeyHash,
      key: { spkiDer: csr.spkiDer, publicKeyHash: csr.publicKeyHash, type: csr.keyType },
      names: enrolledNames(csr, applicant, profile, deps.trustDomain),
      peer: request.peer,
    });
    await announceIfRenewed(deps, applicant, issued);
    return { ...issued, profile };
  });
}

/** What the certificate of whoever asks is issued on. */
export function basisOf({ coming: { entry, current } }: Applicant, publicKeyHash: string): Basis {
  return current === undefined ? { entry } : { renews: renewsOf(current, publicKeyHash) };
}

/** A certificate that was shown and is renewed by `simpleenroll` announces its next key as any renewal does. */
export async function announceIfRenewed(
  { announceNextKey }: Pick<EnrollDeps, 'announceNextKey'>,
  { coming: { current } }: Applicant,
  { record }: Issued,
): Promise<void> {
  if (current !== undefined && record.publicKeyHash !== current.publicKeyHash)
    await announceNextKey(current, record);
}

/** A challengePassword that is the channel binding is no grant. */
export function credentialsOf(
  { basic, channelBinding }: Pick<EnrollRequest, 'basic' | 'channelBinding'>,
  challengePassword: string | undefined,
): GrantCredentials {
  return challengePassword === undefined || challengePassword === channelBinding()
    ? { basic }
    : { basic, challengePassword };
}

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

/** Tells whoever keeps the devices' keys of a next one. @throws EnrollmentError `unavailable`, `third-key` */
export type AnnounceNextKey = (current: CertificateRecord, next: CertificateRecord) => Promise<void>;

export type RenewDeps = CertifyDeps & {
  readonly renewals: Pick<Collection<Renewal>, 'insert' | 'update'>;
  readonly renewalGrants: Pick<RenewalGrants, 'update'>;
  readonly renewalOrders: Pick<RenewalOrders, 'get'>;
  readonly announceNextKey: AnnounceNextKey;
};

/** A renewal whose device and CSR are found good. */
export type ToRenew = {
  readonly current: CertificateRecord;
  readonly csr: Csr;
  readonly profile: Profile;
  readonly attestation: Attestation;
  readonly names: CertifiedNames;
  readonly peer: VerifiedPeer | undefined;
};

/**
 * Renews a certificate if it is time, or an operator ordered it, an expired one within its profile's grace or by a grant for that device. A new
 * key is announced before it is answered.
 * @throws ApprovalPending; EnrollmentError `too-early`, `expired`, whatever `certify` and the announcement refuse
 */
export async function renewCertificate(deps: RenewDeps, wanted: ToRenew): Promise<Enrolled> {
  const { current, csr, names, peer } = wanted;
  const { account, deviceId, serialNumber: currentSerialNumber } = current;
  const { notAfter } = parseCertificatePem(current.certificate);
  const profile = await profileOfRenewal(deps.renewalOrders, current, wanted.profile, deps.now());
  const needsGrant = renewalTime({ notAfter }, profile, deps.now()) === 'needs-grant';
  const renews = renewsOf(current, csr.publicKeyHash);
  const issued = await certify(deps, {
    account,
    deviceId,
    profile,
    proof: current.fingerprint,
    csr,
    askedKeyHash: csr.publicKeyHash,
    key: { spkiDer: csr.spkiDer, publicKeyHash: csr.publicKeyHash, type: csr.keyType },
    names,
    attestation: wanted.attestation,
    peer,
    renews,
    reserve: async (reservation) => {
      const now = Date.parse(reservation.issuedAt);
      const { publicKeyHash } = reservation;
      if (needsGrant)
        await useRenewalGrant(deps.renewalGrants, { account, deviceId }, { publicKeyHash, notAfter, now });
      return reserveRenewal(deps.renewals, { account, deviceId, currentSerialNumber, reservation }, now);
    },
  });
  if (renews.keyChanged) await deps.announceNextKey(current, issued.record);
  return { ...issued, profile: wanted.profile };
}

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
