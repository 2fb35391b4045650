import { type KeylessCsr, parseName, type VerifiedPeer } from '@signet/pki';
import { type AccountStates, isSuspended } from '../account/account-state.ts';
import { requireApproval, spendApproval, waitingSince } from '../approval/approval.ts';
import { type AskedFor, type Requests, requestId } from '../approval/enrollment-request.ts';
import { type AskWebhook, requireConsent } from '../approval/owner-consent.ts';
import type { Attestation } from '../attestation/require-attestation.ts';
import { type DeviceTpms, pinTpm } from '../attestation/tpm-records.ts';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { type PlaceDeps, takePlace } from '../certificate/device-place.ts';
import { type Basis, type Issued, issueReserved, type LeafSigner } from '../certificate/issue.ts';
import { revokeCertificate } from '../certificate/revocation.ts';
import { EnrollmentError } from '../enrollment-error.ts';
import type { Reservation } from '../grant/grant.ts';
import { type Profile, validityOf } from '../profile/profile.ts';
import { requireInForce } from './proof.ts';
import type { CertifiedNames } from './subject.ts';

export type CertifyDeps = PlaceDeps & {
  readonly certificates: Pick<Certificates, 'find' | 'get' | 'insert' | 'update'>;
  readonly requests: Pick<Requests, 'get' | 'insert' | 'update'>;
  readonly deviceTpms: Pick<DeviceTpms, 'get' | 'insert'>;
  readonly signer: LeafSigner;
  readonly askWebhook: AskWebhook;
  readonly accountStates: Pick<AccountStates, 'get'>;
  readonly now: () => number;
};

/** A request that policy has nothing against: what is left is to wait, to ask, to sign. */
export type ToCertify = {
  readonly account: string;
  readonly deviceId: string;
  readonly profile: Profile;
  readonly proof: string;
  readonly csr: Pick<KeylessCsr, 'der' | 'subjectDer'>;
  /** Of the CSR: what makes two requests the same one. */
  readonly askedKeyHash: string;
  /** The key that is certified. */
  readonly key: { readonly spkiDer: Uint8Array; readonly publicKeyHash: string; readonly type: string };
  readonly names: CertifiedNames;
  readonly attestation: Attestation;
  readonly peer: VerifiedPeer | undefined;
  readonly check?: (publicKeyHash: string, askedAt: number) => void | Promise<void>;
  /** That what the device proved itself by counts still; of a renewal that is the certificate itself. @throws EnrollmentError */
  readonly stillMay?: () => Promise<void>;
  /** That the certificate will have, whoever records one first: the record is the compare-and-set. */
  readonly serialNumber?: string;
  /** Compare-and-set before anything is signed, elsewhere: the reservation that stands. @throws EnrollmentError */
  readonly reserve?: (proposed: Reservation) => Promise<Reservation>;
} & Basis;

/**
 * The rest of every enrolment, in order: the device's place, an operator's approval, the reservation, the owner's consent, the signature,
 * the record. Without approval it is one commit where a grant proves the device, and two elsewhere.
 * @throws ApprovalPending, EnrollmentError
 */
export async function certify(deps: CertifyDeps, wanted: ToCertify): Promise<Issued> {
  const { account, deviceId, profile, key, names, renews, entry } = wanted;
  requireAttested(wanted);
  await requireActive(deps, wanted);
  const now = deps.now();
  const asked = approvalFor(wanted);
  const standing = asked === undefined ? undefined : await deps.requests.get(requestId(asked));
  const askedAt = waitingSince(standing, wanted.proof, now);
  await wanted.check?.(key.publicKeyHash, askedAt);
  await requirePlace(deps, wanted, now);
  if (asked !== undefined) await requireApproval(deps.requests, asked, standing, now);

  const proposed = await deps.signer.reserve({
    account,
    publicKeyHash: key.publicKeyHash,
    serialNumber: wanted.serialNumber,
    validityDays: validityOf(profile, renews !== undefined),
    now,
  });
  const reservation = wanted.reserve === undefined ? proposed : await wanted.reserve(proposed);
  if (asked !== undefined)
    await spendApproval(deps.requests, requestId(asked), reservation.serialNumber, now);
  const leaf = { reservation, spkiDer: key.spkiDer, ...names };
  const issued = await issueReserved(
    deps,
    { account, deviceId, profile: profile.id, leaf, ...(renews === undefined ? { entry } : { renews }) },
    {
      mayExist: wanted.serialNumber !== undefined || reservation !== proposed,
      beforeSigning:
        profile.webhook === undefined
          ? undefined
          : async () => {
              await requireConsent(
                deps.askWebhook,
                {
                  account,
                  deviceId,
                  profile,
                  csr: wanted.csr.der,
                  subject: parseName(names.subjectDer, 'subject'),
                  subjectAltNames: names.subjectAltNames,
                  spkiDer: key.spkiDer,
                  keyType: key.type,
                  reservation,
                  renews: renews?.serialNumber,
                  fingerprint: wanted.peer?.facts.fingerprint,
                },
                now,
              );
              await requireStill(deps, wanted);
            },
      claimKey: async () => {
        if (wanted.attestation.kind === 'tpm')
          await pinTpm(deps.deviceTpms, { account, deviceId }, wanted.attestation.tpm, deps.now());
      },
    },
  );
  if (!issued.repeated) await keepIfStill(deps, wanted, issued.record);
  return issued;
}

/** Nothing comes into an account that is suspended; what is in it renews. @throws EnrollmentError `account-suspended` */
async function requireActive(
  { accountStates }: Pick<CertifyDeps, 'accountStates'>,
  { account, renews }: ToCertify,
): Promise<void> {
  if (renews !== undefined || !(await isSuspended(accountStates, account))) return;
  throw new EnrollmentError('account-suspended', `account: "${account}" is suspended`);
}

/** What was asked at the beginning, once more: a decision takes its time, and the operator may have revoked meanwhile. */
async function requireStill(deps: CertifyDeps, wanted: ToCertify): Promise<void> {
  const { renews, stillMay } = wanted;
  await requireActive(deps, wanted);
  if (renews !== undefined) requireInForce(await deps.certificates.get(renews.serialNumber));
  await stillMay?.();
}

/**
 * Whoever revokes what a device has goes through what is on record, and does not see what is recorded behind him: that
 * looks back itself. Nobody has the certificate yet that is revoked here. One whose current certificate gave way to a
 * next key is left: that may be this very one, handed out on another request of the device.
 */
async function keepIfStill(deps: CertifyDeps, wanted: ToCertify, record: CertificateRecord): Promise<void> {
  const { renews } = wanted;
  const current = renews === undefined ? undefined : await deps.certificates.get(renews.serialNumber);
  if (current?.revocationReason === 'superseded' && current.revokedBy === 'provisioning') return;
  try {
    await requireStill(deps, wanted);
  } catch (error) {
    if (!(error instanceof EnrollmentError) || error.code === 'unavailable') throw error;
    const { revocationReason: reason = 'superseded', revokedBy: by = 'est-ca' } = current ?? {};
    await revokeCertificate(deps.certificates, record.id, { reason, by, at: deps.now() });
    throw error;
  }
}

/**
 * That the device may come in, before anybody is asked for it; it is asked once more with the insert. A request that was
 * answered already is none that comes in.
 */
async function requirePlace(deps: CertifyDeps, wanted: ToCertify, now: number): Promise<void> {
  const { account, deviceId, profile, key, serialNumber, entry } = wanted;
  if (entry === undefined) return;
  if (serialNumber !== undefined && (await deps.certificates.get(serialNumber)) !== undefined) return;
  const { publicKeyHash } = key;
  await takePlace(deps, { account, deviceId, profile: profile.id, publicKeyHash, entry }, now);
}

/** Whichever way a request came: a profile that wants attestation certifies nothing without. @throws EnrollmentError `no-attestation` */
function requireAttested({ profile, attestation }: ToCertify): void {
  if (profile.attestation === 'tpm' && attestation.kind !== 'tpm')
    throw new EnrollmentError(
      'no-attestation',
      `attestation: profile "${profile.id}" certifies only keys that are proven to live in a TPM`,
    );
}

function approvalFor(wanted: ToCertify): AskedFor | undefined {
  const { account, deviceId, profile, csr, askedKeyHash, key, renews, proof } = wanted;
  const needed = profile.approval === 'every' || (profile.approval === 'first' && renews === undefined);
  if (!needed) return undefined;
  const { commonName, organization } = parseName(csr.subjectDer, 'subject');
  const subject = [commonName && `CN=${commonName}`, organization && `O=${organization}`].filter(Boolean);
  return {
    account,
    deviceId,
    profile: profile.id,
    subjectDer: csr.subjectDer,
    subject: subject.join(', ').slice(0, 256),
    publicKeyHash: askedKeyHash,
    keyType: key.type,
    renews: renews?.serialNumber,
    proof,
  };
}
