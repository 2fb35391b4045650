import { type KeylessCsr, parseName, type VerifiedPeer } from '@signet/pki';
import { requireApproval, spendApproval, waitingSince } from '../approval/approval.ts';
import { type AskedFor, type Requests, requestId } from '../approval/enrollment-request.ts';
import { type AskWebhook, requireConsent } from '../approval/owner-consent.ts';
import type { Attestation } from '../attestation/require-attestation.ts';
import { type DeviceTpm, type DeviceTpms, pinTpm, unpinTpm } from '../attestation/tpm-records.ts';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { type PlaceDeps, takePlace } from '../certificate/device-place.ts';
import { type Basis, type Issued, issueReserved, type LeafSigner } from '../certificate/issue.ts';
import type { Reservation } from '../certificate/reservation.ts';
import { revokeCertificate } from '../certificate/revocation.ts';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import { type Profile, validityOf } from '../profile/profile.ts';
import {
  basisOf,
  type Proof,
  type ProofCtx,
  requireInTime,
  requireStillGood,
  reserveFor,
  serialNumberOf,
} from './proof.ts';
import type { CertifiedNames } from './subject.ts';

export type IssueCtx = ProofCtx &
  PlaceDeps & {
    readonly certificates: Pick<Certificates, 'find' | 'get' | 'insert' | 'update'>;
    readonly requests: Pick<Requests, 'get' | 'insert' | 'update'>;
    readonly deviceTpms: Pick<DeviceTpms, 'get' | 'insert' | 'remove'>;
    readonly signer: LeafSigner;
    readonly askWebhook: AskWebhook;
    /** What is known of accounts that were ever suspended or deleted; all others are active. */
    readonly accountStates: {
      get(account: string): Promise<{ readonly state: 'active' | 'suspended' | 'deleted' } | undefined>;
    };
    readonly now: () => number;
  };

/** A request whose device is authenticated and whose CSR keeps every rule. */
export type IssueRequest = ProvenDevice & {
  readonly profile: Profile;
  readonly proof: Proof;
  readonly csr: Pick<KeylessCsr, 'der' | 'subjectDer'>;
  /** Of the CSR: what makes two requests the same one. */
  readonly requestedKeyHash: string;
  /** The key that is certified. */
  readonly key: { readonly spkiDer: Uint8Array; readonly publicKeyHash: string; readonly type: string };
  readonly attestation: Attestation;
  readonly names: CertifiedNames;
  readonly peer: VerifiedPeer | undefined;
};

/**
 * The issuance cycle: the rest of every enrolment and renewal, in order. Whatever fails, the same request made again ends
 * with the recorded certificate, and no other is handed out. Without approval it is one commit where the proof names the
 * serial number, and two elsewhere (ADR 7).
 * @throws ApprovalPending, EnrollmentError
 */
export async function issueCertificate(ctx: IssueCtx, request: IssueRequest): Promise<Issued> {
  const { account, deviceId, profile, proof, key, names, attestation } = request;
  const { publicKeyHash } = key;
  const device = { account, deviceId };
  const basis = basisOf(proof, publicKeyHash);
  const now = ctx.now();

  // Step 1: whichever way the request came, nothing is certified without the attestation that the profile requires, and
  // nothing enters a suspended account
  requireAttested(profile, attestation);
  await requireActive(ctx, account, basis);

  // Step 2: the proof is in time. A device asks again while an operator decides (RFC 7030 §4.2.3)
  const wanted = approvalFor(request, basis);
  const filed = wanted === undefined ? undefined : await ctx.requests.get(requestId(wanted));
  const askedAt = filed === undefined ? now : waitingSince(filed, proof.id, now);
  await requireInTime(ctx, proof, { profile, publicKeyHash, askedAt, now });

  // Step 3: the device's place is free, before anybody is asked about it
  if (!(await isIssued(ctx, proof)) && basis.kind === 'entry')
    await takePlace(ctx, { ...device, profile: profile.id, publicKeyHash, entry: basis.entry }, now);

  // Step 4: an operator's approval; until then the answer is 202
  if (wanted !== undefined) await requireApproval(ctx.requests, wanted, filed, now);

  // Step 5: issuer, serial number and validity are reserved; of two requests with one proof, one reservation stands
  const proposed = await ctx.signer.reserve({
    account,
    publicKeyHash,
    serialNumber: serialNumberOf(proof),
    validityDays: validityOf(profile, basis.kind === 'renewal'),
    now,
  });
  const { reservation, mayBeIssued } = await reserveFor(ctx, device, request, proposed);

  // Step 6: the approval is spent on that serial number
  if (wanted !== undefined)
    await spendApproval(ctx.requests, requestId(wanted), reservation.serialNumber, now);

  // Steps 7 to 11: answered before, or consent, lint, one signature, record with its event
  let pin: DeviceTpm | undefined;
  const leaf = { reservation, spkiDer: key.spkiDer, ...names };
  const issued = await issueReserved(
    ctx,
    { account, deviceId, profile: profile.id, leaf, basis },
    {
      mayBeIssued,
      beforeSigning: () => consent(ctx, request, basis, reservation, now),
      claimKey: async () => {
        if (attestation.kind === 'tpm')
          pin = await pinTpm(ctx.deviceTpms, device, attestation.tpm, ctx.now());
      },
    },
  );

  // Step 12: nobody has the certificate yet: it is revoked where the proof was while it was made
  if (!issued.repeated) await revokeIfProofWas(ctx, request, basis, { record: issued.record, pin });
  return issued;
}

/** @throws EnrollmentError `no-attestation` */
function requireAttested(profile: Profile, attestation: Attestation): void {
  if (profile.attestation !== 'tpm' || attestation.kind === 'tpm') return;
  throw new EnrollmentError(
    'no-attestation',
    `attestation: profile "${profile.id}" certifies only keys that are proven to live in a TPM`,
  );
}

/** Nothing comes into an account that is suspended; what is in it renews. @throws EnrollmentError `account-suspended` */
async function requireActive(
  { accountStates }: Pick<IssueCtx, 'accountStates'>,
  account: string,
  { kind }: Basis,
): Promise<void> {
  if (kind === 'renewal' || ((await accountStates.get(account))?.state ?? 'active') === 'active') return;
  throw new EnrollmentError('account-suspended', `account: "${account}" is suspended`);
}

/** Whether the certificate of a grant is on record: then the request is one that was answered, and enters nothing. */
async function isIssued({ certificates }: Pick<IssueCtx, 'certificates'>, proof: Proof): Promise<boolean> {
  return proof.by === 'handoff' && (await certificates.get(proof.grant.serialNumber)) !== undefined;
}

/** Asks the owner's back end where the profile names one. It takes its time: what was asked at the beginning is again. */
async function consent(
  ctx: IssueCtx,
  request: IssueRequest,
  basis: Basis,
  reservation: Reservation,
  now: number,
): Promise<void> {
  const { account, deviceId, profile, csr, key, names, peer } = request;
  if (profile.webhook === undefined) return;
  await requireConsent(
    ctx.askWebhook,
    {
      account,
      deviceId,
      profile,
      csr: csr.der,
      subject: parseName(names.subjectDer, 'subject'),
      subjectAltNames: names.subjectAltNames,
      spkiDer: key.spkiDer,
      keyType: key.type,
      reservation,
      renews: basis.kind === 'renewal' ? basis.renews.serialNumber : undefined,
      fingerprint: peer?.facts.fingerprint,
    },
    now,
  );
  await requireStill(ctx, request, basis);
}

async function requireStill(ctx: IssueCtx, request: IssueRequest, basis: Basis): Promise<void> {
  await requireActive(ctx, request.account, basis);
  await requireStillGood(ctx, request, request.proof);
}

/**
 * Whoever revokes what a device has goes through what is on record, and does not see what is recorded behind him: that
 * looks back itself. One whose current certificate gave way to a next key is left: that may be this very one, handed out
 * on another request of the device.
 */
async function revokeIfProofWas(
  ctx: IssueCtx,
  request: IssueRequest,
  basis: Basis,
  made: { readonly record: CertificateRecord; readonly pin: DeviceTpm | undefined },
): Promise<void> {
  const { proof } = request;
  const current = proof.by === 'renewal' ? await ctx.certificates.get(proof.current.serialNumber) : undefined;
  if (current?.revocationReason === 'superseded' && current.revokedBy === 'provisioning') return;
  try {
    await requireStill(ctx, request, basis);
  } catch (error) {
    if (!(error instanceof EnrollmentError) || error.code === 'unavailable') throw error;
    const { revocationReason: reason = 'superseded', revokedBy: by = 'est-ca' } = current ?? {};
    await revokeCertificate(ctx.certificates, made.record.id, { reason, by, at: ctx.now() });
    if (made.pin !== undefined) await unpinTpm(ctx.deviceTpms, made.pin);
    throw error;
  }
}

function approvalFor(request: IssueRequest, basis: Basis): AskedFor | undefined {
  const { account, deviceId, profile, csr, requestedKeyHash, key, proof } = request;
  const { approval } = profile;
  if (!(approval === 'every' || (approval === 'first' && basis.kind === 'entry'))) return undefined;
  const { commonName, organization } = parseName(csr.subjectDer, 'subject');
  const subject = [commonName && `CN=${commonName}`, organization && `O=${organization}`].filter(Boolean);
  return {
    account,
    deviceId,
    profile: profile.id,
    subjectDer: csr.subjectDer,
    subject: subject.join(', ').slice(0, 256),
    publicKeyHash: requestedKeyHash,
    keyType: key.type,
    renews: basis.kind === 'renewal' ? basis.renews.serialNumber : undefined,
    proof: proof.id,
  };
}
