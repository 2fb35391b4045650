import type { DeviceState, RefusalCode } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import type { Collection } from '@signet/store';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { type Basis, renewsOf } from '../certificate/issue.ts';
import {
  type Renewal,
  type Reservation,
  type Reserved,
  reserveBySecret,
  reserveRenewal,
  type SecretUse,
} from '../certificate/reservation.ts';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import { checkGrant, checkUse, type Grant, type Grants } from '../grant/grant.ts';
import type { Profile } from '../profile/profile.ts';
import { type RenewalGrants, useRenewalGrant } from '../renewal/renewal-orders.ts';
import { renewalTime } from '../renewal/renewal-times.ts';

/**
 * What a device proved itself by: it decides what binds the request to one certificate, and what is asked again before
 * that is handed out. `id` tells one proof from another, SHA-256 in hex.
 */
export type Proof =
  /** The grant of a handoff; it names the serial number of its one certificate. */
  | { readonly by: 'handoff'; readonly id: string; readonly grant: Grant }
  /** A registration that the bootstrap service approved. */
  | {
      readonly by: 'registration';
      readonly id: string;
      readonly serialNumber: string;
      /** Fingerprint of the bootstrap certificate that the registration gave the device. */
      readonly identity: string | undefined;
      /** When the device was reset, if it was since. */
      readonly resetAt: string | undefined;
    }
  /** The secret of the profile, which all of its devices share. */
  | { readonly by: 'secret'; readonly id: string }
  /** A bootstrap certificate of a device that the account claimed. */
  | { readonly by: 'certificate'; readonly id: string; readonly peer: VerifiedPeer }
  /** The certificate that is renewed. */
  | { readonly by: 'renewal'; readonly id: string; readonly current: CertificateRecord };

export type ProofCtx = {
  readonly grants: Pick<Grants, 'find'>;
  readonly certificates: Pick<Certificates, 'get'>;
  readonly secretUses: Pick<Collection<SecretUse>, 'get' | 'insert' | 'update'>;
  readonly renewals: Pick<Collection<Renewal>, 'insert' | 'update'>;
  readonly renewalGrants: Pick<RenewalGrants, 'update'>;
  readonly findDevice: FindDevice;
};

/** What a certificate with this key is issued on. */
export function basisOf(proof: Proof, publicKeyHash: string): Basis {
  switch (proof.by) {
    case 'handoff': {
      const { identity, fingerprint, resetAt } = proof.grant;
      return { kind: 'entry', entry: { by: 'handoff', identity: identity ?? fingerprint, resetAt } };
    }
    case 'registration': {
      const { identity, resetAt } = proof;
      return { kind: 'entry', entry: { by: 'registration', identity, resetAt } };
    }
    case 'secret':
    case 'certificate':
      return { kind: 'entry', entry: { by: proof.by } };
    case 'renewal':
      return { kind: 'renewal', renews: renewsOf(proof.current, publicKeyHash) };
  }
}

/**
 * Requires the proof to be in time, and not another key's. A grant that ran out while the request waited for an operator
 * was in time at `askedAt` (Unix ms).
 * @throws EnrollmentError `expired-grant`, `wrong-grant`, `used-grant`, `too-early`
 */
export async function requireInTime(
  { certificates }: Pick<ProofCtx, 'certificates'>,
  proof: Proof,
  request: {
    readonly profile: Profile;
    readonly publicKeyHash: string;
    readonly askedAt: number;
    readonly now: number;
  },
): Promise<void> {
  if (proof.by === 'renewal') renewalTime(endOf(proof.current), request.profile, request.now);
  if (proof.by !== 'handoff') return;
  checkGrant(proof.grant, { secretHash: proof.id, now: request.askedAt });
  if (request.profile.approval === 'none') return;
  const recorded = await certificates.get(proof.grant.serialNumber);
  if (recorded !== undefined) checkUse(recorded, request.publicKeyHash);
}

/**
 * Requires the proof to count still: a decision takes its time, and an operator may have revoked meanwhile.
 * @throws EnrollmentError
 */
export async function requireStillGood(ctx: ProofCtx, device: ProvenDevice, proof: Proof): Promise<void> {
  switch (proof.by) {
    case 'handoff': {
      const { grant, id: secretHash } = proof;
      const [current] = (await ctx.grants.find({ index: 'secret', equals: { secretHash }, limit: 1 })).items;
      return checkGrant(current ?? { ...grant, secretHash: '' }, { secretHash, now: 0 });
    }
    case 'secret':
      return requireNotShutOut(ctx.findDevice, device);
    case 'certificate':
      await claimedDevice(ctx.findDevice, device.account, proof.peer.facts.fingerprint);
      return;
    case 'renewal':
      return requireInForce(await ctx.certificates.get(proof.current.serialNumber));
    case 'registration':
      return;
  }
}

/** The serial number that the certificate will have where the proof names it. */
export function serialNumberOf(proof: Proof): string | undefined {
  if (proof.by === 'handoff') return proof.grant.serialNumber;
  return proof.by === 'registration' ? proof.serialNumber : undefined;
}

/**
 * Binds the proof to one reservation by compare-and-set, before anything is signed. Where the proof names the serial
 * number, the insert of the certificate is that compare-and-set, and nothing is written here.
 * @throws EnrollmentError `used-grant`, `expired`
 */
export async function reserveFor(
  ctx: ProofCtx,
  { account, deviceId }: ProvenDevice,
  { proof, profile }: { readonly proof: Proof; readonly profile: Profile },
  reservation: Reservation,
): Promise<Reserved> {
  const now = Date.parse(reservation.issuedAt);
  const device = { account, deviceId };
  switch (proof.by) {
    case 'handoff':
    case 'registration':
      return { reservation, mayBeIssued: true };
    case 'secret':
      return reserveBySecret(ctx, device, reservation, now);
    case 'certificate': {
      const currentSerialNumber = proof.peer.certificate.serialNumber;
      return reserveRenewal(ctx.renewals, { ...device, currentSerialNumber, reservation }, now);
    }
    case 'renewal': {
      const end = endOf(proof.current);
      const { publicKeyHash } = reservation;
      if (renewalTime(end, profile, now) === 'needs-grant')
        await useRenewalGrant(ctx.renewalGrants, device, { publicKeyHash, ...end, now });
      const currentSerialNumber = proof.current.serialNumber;
      return reserveRenewal(ctx.renewals, { ...device, currentSerialNumber, reservation }, now);
    }
  }
}

function endOf({ notAfter }: CertificateRecord): { readonly notAfter: number } {
  return { notAfter: Date.parse(notAfter) };
}

/** What the keeper of devices says of one; undefined where the account has no such device. */
export type FindDevice = (
  query:
    | { readonly account: string; readonly fingerprint: string }
    | { readonly account: string; readonly deviceId: string },
) => Promise<
  { readonly deviceId: string; readonly claimed: boolean; readonly state: DeviceState } | undefined
>;

const unfit: Partial<Record<DeviceState, RefusalCode>> = { blocked: 'blocked', retired: 'retired' };

/** The device that an account claimed by this bootstrap certificate. @throws EnrollmentError `unclaimed`, `blocked`, `retired` */
export async function claimedDevice(
  findDevice: FindDevice,
  account: string,
  fingerprint: string,
): Promise<string> {
  const device = await findDevice({ account, fingerprint });
  if (device?.claimed !== true)
    throw new EnrollmentError('unclaimed', `certificate: account "${account}" has not claimed its device`);
  requireFit(device);
  return device.deviceId;
}

/** Requires that a device which names itself is not shut out; one that nobody knows is not. @throws EnrollmentError `blocked`, `retired` */
export async function requireNotShutOut(
  findDevice: FindDevice,
  { account, deviceId }: ProvenDevice,
): Promise<void> {
  const found = await findDevice({ account, deviceId });
  if (found !== undefined) requireFit(found);
}

function requireFit({ deviceId, state }: { readonly deviceId: string; readonly state: DeviceState }): void {
  const code = unfit[state];
  if (code !== undefined) throw new EnrollmentError(code, `device: "${deviceId}" is ${state}`);
}

/** The record of the certificate that is renewed. @throws EnrollmentError `unknown-device`, `revoked` */
export async function currentRecord(
  certificates: Pick<Certificates, 'get'>,
  { serialNumber, fingerprint }: { readonly serialNumber: string; readonly fingerprint: string },
): Promise<CertificateRecord> {
  const record = await certificates.get(serialNumber);
  if (record === undefined || record.fingerprint !== fingerprint)
    throw new EnrollmentError(
      'unknown-device',
      `certificate: ${serialNumber} is not on the record of issued certificates`,
    );
  requireInForce(record);
  return record;
}

/** @throws EnrollmentError `revoked` */
export function requireInForce(record: CertificateRecord | undefined): void {
  if (record?.revokedAt === undefined) return;
  throw new EnrollmentError(
    'revoked',
    `certificate: ${record.serialNumber} was revoked at ${record.revokedAt} (${record.revocationReason})`,
  );
}
