import { type Csr, parseCertificatePem, type VerifiedPeer } from '@signet/pki';
import type { Attestation, RequireAttestation } from '../attestation/require-attestation.ts';
import { type CertificateRecord, type Certificates, isLive } from '../certificate/certificate.ts';
import type { Issued } from '../certificate/issue.ts';
import { EnrollmentError, namingDevice, type ProvenDevice } from '../est/enrollment-error.ts';
import { profileInForce, requireLabel } from '../profile/device-profile.ts';
import type { Label, Profile } from '../profile/profile.ts';
import { profileOfRenewal, type RenewalOrders } from '../renewal/renewal-orders.ts';
import { type AuthenticateCtx, authenticate, type Credentials } from './authenticate.ts';
import {
  type ChannelBinding,
  checkKeyPolicy,
  readCsr,
  requireChannelBinding,
  verifyOptionalBinding,
} from './csr-policy.ts';
import { type IssueCtx, type IssueRequest, issueCertificate } from './issue-certificate.ts';
import { currentRecord } from './proof.ts';
import { type CertifiedNames, enrolledNames, renewedNames } from './subject.ts';

/** Tells whoever keeps the devices' keys of a next one. @throws EnrollmentError `unavailable`, `third-key` */
export type AnnounceNextKey = (current: CertificateRecord, next: CertificateRecord) => Promise<void>;

/** The collaborators of every enrolment. */
export type EnrollCtx = AuthenticateCtx &
  IssueCtx & {
    readonly requireAttestation: RequireAttestation;
    readonly renewalOrders: Pick<RenewalOrders, 'get'>;
    readonly announceNextKey: AnnounceNextKey;
    /** Trust domain of SPIFFE ids. */
    readonly trustDomain: string;
  };

/** What became of an enrolment, and the profile that it was made under. */
export type Enrolled = Issued & { readonly profile: Profile };

export type EnrollRequest = {
  /** DER of the PKCS#10 request. */
  readonly csr: Uint8Array;
  readonly label: Label | undefined;
  readonly basic: Credentials['basic'];
  readonly peer: VerifiedPeer | undefined;
  /** Of the connection that it came on. */
  readonly channelBinding: ChannelBinding;
};

/**
 * A first certificate (`simpleenroll`, RFC 7030 §4.2.1). What the device proved itself by is bound to the key at the
 * latest by the commit that records the certificate.
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export function enroll(ctx: EnrollCtx, request: EnrollRequest): Promise<Enrolled> {
  return namingDevice(async (proven) => {
    // Step 1: the request is read (RFC 2986); nothing in it is verified yet
    const csr = readCsr(request.csr);
    const credentials = credentialsOf(request, csr.challengePassword);
    // Step 2: who asks, and by what it proves itself (§3.2.3, §3.3.2)
    const requester = await authenticate(ctx, { ...request, credentials }, proven);
    proven(requester);
    // Step 3: the CSR is of this connection where the profile wants it (§3.5)
    requireChannelBinding(requester.profile, csr.challengePassword, request.channelBinding);
    // Step 4: its key may be certified, and the device holds it (§3.4); a TPM may decide the profile
    const { profile, attestation } = await checkKeyPolicy(ctx, csr, requester, requester.profile);
    // Step 5: whom the certificate names
    const names = enrolledNames(csr, requester, profile, ctx.trustDomain);
    // Step 6: the issuance cycle
    const { peer } = request;
    return issueAndAnnounce(ctx, { ...requester, profile, attestation, names, peer, ...certifying(csr) });
  });
}

export type ReenrollRequest = Omit<EnrollRequest, 'basic'>;

/**
 * A renewal (`simplereenroll`, RFC 7030 §4.2.2). The old key vouches by TLS, the new one by the CSR's signature. The
 * profile is that of the current certificate, or where an operator moved the device: the label never chooses another.
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export function reenroll(ctx: EnrollCtx, request: ReenrollRequest): Promise<Enrolled> {
  return namingDevice(async (proven) => {
    const peer = requireOperational(request.peer);
    proven(peer);
    const { label, channelBinding } = request;
    if (label !== undefined && label.account !== peer.account)
      throw new EnrollmentError(
        'wrong-account',
        `label: the certificate is not one of account "${label.account}"`,
      );
    const csr = readCsr(request.csr);
    verifyOptionalBinding(csr.challengePassword, channelBinding);
    const current = await currentRecord(ctx.certificates, peer.facts);
    const inForce = await profileInForce(ctx, current);
    await requireLabel(ctx.findProfile, inForce, label);
    requireChannelBinding(inForce.profile, csr.challengePassword, channelBinding);
    const checked = await checkKeyPolicy(ctx, csr, current, inForce.profile);
    const names = renewedNames(csr, peer.certificate);
    return renew(ctx, { current, csr, ...checked, names, peer });
  });
}

/** None of the protocols of registrations and handoffs has a place for a channel binding. */
const noBinding: ChannelBinding = () => undefined;

/**
 * A first certificate for a registered device: an operator approved its registration, which is the approval, too, that a
 * profile may want. All else is as the profile says. The record takes the given serial number and is the
 * compare-and-set: the same key may come again, another key may not.
 * @throws EnrollmentError whatever it refuses
 */
export function enrollRegistered(
  ctx: EnrollCtx,
  request: ProvenDevice & {
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
  return namingDevice(async (proven) => {
    proven(request);
    const asked = await ctx.findProfile({ account, profile: request.profile });
    const csr = readCsr(request.csr);
    requireChannelBinding(asked, csr.challengePassword, noBinding);
    const { profile: checked, attestation } = await checkKeyPolicy(ctx, csr, request, asked);
    const profile: Profile = {
      ...checked,
      approval: 'none',
      ...(organizationalUnit === undefined
        ? {}
        : { subjectAttributes: { ...checked.subjectAttributes, organizationalUnit } }),
    };
    const issued = await issueCertificate(ctx, {
      ...{ account, deviceId, profile, attestation, peer: undefined },
      proof: { by: 'registration', id: serialNumber, serialNumber, identity, resetAt },
      names: enrolledNames(csr, request, profile, ctx.trustDomain),
      ...certifying(csr),
    });
    if (issued.record.account !== account || issued.record.deviceId !== deviceId)
      throw new EnrollmentError('wrong-account', `serialNumber: ${serialNumber} is that of another device`);
    return { ...issued, profile };
  });
}

/**
 * A renewal of a registered device, which showed its certificate to the bootstrap service over a protocol whose CSR does
 * not repeat the Subject: names are those of the current certificate.
 * @throws ApprovalPending; EnrollmentError whatever it refuses
 */
export function renewRegistered(
  ctx: EnrollCtx,
  request: ProvenDevice & {
    readonly csr: Uint8Array;
    /** Of the certificate that the device showed. */
    readonly serialNumber: string;
    readonly fingerprint: string;
  },
): Promise<Enrolled> {
  const { account, deviceId } = request;
  return namingDevice(async (proven) => {
    proven(request);
    const current = await currentRecord(ctx.certificates, request);
    if (current.account !== account || current.deviceId !== deviceId)
      throw new EnrollmentError('wrong-account', 'certificate: is that of another device');
    const csr = readCsr(request.csr);
    const inForce = await profileInForce(ctx, current);
    requireChannelBinding(inForce.profile, csr.challengePassword, noBinding);
    const checked = await checkKeyPolicy(ctx, csr, current, inForce.profile);
    const { subjectDer, sans } = parseCertificatePem(current.certificate);
    const { commonName } = csr.subject;
    if (commonName !== undefined && commonName !== deviceId)
      throw new EnrollmentError(
        'wrong-subject',
        `subject CN: "${commonName}" is not the device "${deviceId}"`,
      );
    const names = { subjectDer, subjectAltNames: sans };
    return renew(ctx, { current, csr, ...checked, names, peer: undefined });
  });
}

/**
 * An enrolment by the CSR of a bootstrap request, with the grant that the handoff just made; all that the profile says
 * holds. A device that asks again because the answer was lost gets the certificate that its key has.
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export async function enrollHandedOff(
  ctx: EnrollCtx & { readonly certificates: Pick<Certificates, 'find'> },
  request: ProvenDevice & {
    readonly username: string;
    readonly grant: string;
    /** DER. */
    readonly csr: Uint8Array;
  },
): Promise<CertificateRecord> {
  const { account, deviceId, username, grant, csr } = request;
  const { publicKeyHash } = readCsr(csr);
  const latest = await ctx.certificates.find({
    index: 'device',
    equals: { account, deviceId },
    descending: true,
    limit: 20,
  });
  const now = ctx.now();
  const known = latest.items.find((record) => record.publicKeyHash === publicKeyHash && isLive(record, now));
  if (known !== undefined) return known;
  const basic = { username, password: grant };
  const enrolled = await enroll(ctx, {
    ...{ csr, basic, label: undefined, peer: undefined },
    channelBinding: noBinding,
  });
  return enrolled.record;
}

/** Renews if it is time, or an operator ordered it; an expired certificate within its profile's grace or by a grant. */
async function renew(
  ctx: EnrollCtx,
  renewal: {
    readonly current: CertificateRecord;
    readonly csr: Csr;
    readonly profile: Profile;
    readonly attestation: Attestation;
    readonly names: CertifiedNames;
    readonly peer: VerifiedPeer | undefined;
  },
): Promise<Enrolled> {
  const { current, csr, attestation, names, peer } = renewal;
  const { account, deviceId } = current;
  const profile = await profileOfRenewal(ctx.renewalOrders, current, renewal.profile, ctx.now());
  return issueAndAnnounce(ctx, {
    ...{ account, deviceId, profile, attestation, names, peer },
    proof: { by: 'renewal', id: current.fingerprint, current },
    ...certifying(csr),
  });
}

/** A next key is announced before it is answered, so that the device is admitted with it as soon as it has it. */
export async function issueAndAnnounce(ctx: EnrollCtx, request: IssueRequest): Promise<Enrolled> {
  const { proof, profile } = request;
  const issued = await issueCertificate(ctx, request);
  if (proof.by === 'renewal' && issued.record.publicKeyHash !== proof.current.publicKeyHash)
    await ctx.announceNextKey(proof.current, issued.record);
  return { ...issued, profile };
}

/** A CSR whose own key is certified. */
function certifying(csr: Csr): Pick<IssueRequest, 'csr' | 'key' | 'requestedKeyHash'> {
  const { spkiDer, publicKeyHash, keyType: type } = csr;
  return { csr, requestedKeyHash: publicKeyHash, key: { spkiDer, publicKeyHash, type } };
}

/** A challengePassword that is the channel binding is no grant. */
export function credentialsOf(
  { basic, channelBinding }: Pick<EnrollRequest, 'basic' | 'channelBinding'>,
  challengePassword: string | undefined,
): Credentials {
  return challengePassword === undefined || challengePassword === channelBinding()
    ? { basic }
    : { basic, challengePassword };
}

type OperationalPeer = VerifiedPeer & { readonly account: string };

function requireOperational(peer: VerifiedPeer | undefined): OperationalPeer {
  if (peer === undefined)
    throw new EnrollmentError(
      'no-certificate',
      'certificate: a renewal needs the current one in the TLS handshake',
    );
  if (peer.purpose !== 'operational' || peer.account === undefined)
    throw new EnrollmentError('wrong-purpose', 'certificate: a bootstrap certificate renews nothing');
  return peer as OperationalPeer;
}
