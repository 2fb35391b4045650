import { newEvent } from '@signet/contracts';
import { type Certificate, decodePem, encodePem, type SubjectAltNames } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { checkUse } from '../grant/grant.ts';
import { type CertificateRecord, type Certificates, certificateFacts } from './certificate.ts';
import { type Entry, type PlaceDeps, takePlace } from './device-place.ts';
import type { Reservation } from './reservation.ts';

/** What is to be certified, as the reservation settled it. */
export type Leaf = {
  readonly reservation: Reservation;
  readonly subjectDer: Uint8Array;
  readonly spkiDer: Uint8Array;
  readonly subjectAltNames: SubjectAltNames;
};

/** Signs operational certificates. */
export type LeafSigner = {
  /** Settles issuer, serial number and validity of a new certificate. */
  reserve(wanted: {
    readonly account: string;
    readonly publicKeyHash: string;
    /** A new one by default. */
    readonly serialNumber?: string | undefined;
    readonly validityDays: number;
    readonly now: number;
  }): Promise<Reservation>;
  /**
   * Makes and lints the certificate that `sign` then signs.
   * @throws EnrollmentError `unavailable` where the reserved issuer's key is not at hand, `not-certifiable` where the
   * certificate would break a rule
   */
  prepare(leaf: Leaf): PreparedLeaf;
};

/** A certificate that keeps every rule and is not signed yet. */
export type PreparedLeaf = { sign(): Promise<Certificate> };

/** What a certificate is recorded under. */
export type Issuance = {
  readonly account: string;
  readonly deviceId: string;
  /** Label of the profile. */
  readonly profile: string;
  readonly leaf: Leaf;
  readonly basis: Basis;
};

/** What a certificate is issued on: the device comes in, or has one to renew. */
export type Basis =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'renewal'; readonly renews: Renews };

/** The certificate that is renewed. */
export type Renews = Pick<CertificateRecord, 'serialNumber' | 'enteredBy' | 'identity'> & {
  readonly keyChanged: boolean;
};

/** What became of an enrolment. */
export type Issued = {
  readonly record: CertificateRecord;
  /** DER of the recorded certificate. */
  readonly der: Uint8Array;
  /** That an earlier request had it made already. */
  readonly repeated: boolean;
};

/** What a certificate with this key is to the one that it renews. */
export function renewsOf(current: CertificateRecord, publicKeyHash: string): Renews {
  const { serialNumber, enteredBy, identity } = current;
  return { serialNumber, enteredBy, identity, keyChanged: current.publicKeyHash !== publicKeyHash };
}

/**
 * Steps 7 to 11 of the issuance cycle: signs what was reserved and records it with its event; only a recorded certificate is ever handed out. Where one is
 * recorded under the serial number already, here or by another replica, that is the one. A certificate that renews none
 * takes the device's place in the very insert.
 * @throws EnrollmentError `used-grant` where the recorded one is another key's, `revoked` where it has been since,
 * `device-enrolled` and `key-compromised` as {@link takePlace}
 */
export async function issueReserved(
  ctx: PlaceDeps & {
    readonly certificates: Pick<Certificates, 'find' | 'get' | 'insert'>;
    readonly signer: Pick<LeafSigner, 'prepare'>;
    readonly now: () => number;
  },
  issuance: Issuance,
  options: {
    /** An earlier request may have been issued a certificate under this reservation. */
    readonly mayBeIssued: boolean;
    /** Asked when there is something to sign; what it throws, nothing is signed for. */
    readonly beforeSigning: () => Promise<void>;
    /** What has to be on record before the signature, once nothing is left that could refuse it. */
    readonly claimKey: () => Promise<void>;
  },
): Promise<Issued> {
  const { serialNumber } = issuance.leaf.reservation;
  // Step 7: an earlier request may have had it made
  const existing = options.mayBeIssued ? await ctx.certificates.get(serialNumber) : undefined;
  if (existing !== undefined) return repeated(existing, issuance.leaf.reservation);
  // Step 8: the owner's consent
  await options.beforeSigning();
  // Step 9: the device's place, as it is now; the certificate is made and linted; nothing but the signature is left
  let place = await placeOf(ctx, issuance);
  const prepared = ctx.signer.prepare(issuance.leaf);
  await options.claimKey();
  // Step 10: the one signature
  const certificate = await prepared.sign();
  // Step 11: the record and its event in one write; only what is recorded is handed out
  for (;;) {
    const record = { ...recordOf(issuance, certificate), ...place };
    try {
      await ctx.certificates.insert(record, [issuedEvent(issuance, record)]);
      return { record, der: certificate.der, repeated: false };
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      const stored = await ctx.certificates.get(serialNumber);
      if (stored !== undefined) return repeated(stored, issuance.leaf.reservation);
      if (error.index !== 'enrolment') throw error;
      place = await placeOf(ctx, issuance);
    }
  }
}

/** What the record says of how its device came in. */
async function placeOf(
  ctx: PlaceDeps & { readonly now: () => number },
  { account, deviceId, profile, leaf, basis }: Issuance,
): Promise<Pick<CertificateRecord, 'enteredBy' | 'identity' | 'enrolment'>> {
  if (basis.kind === 'renewal') return originOf(basis.renews);
  const { entry } = basis;
  const { publicKeyHash } = leaf.reservation;
  const entrance = { account, deviceId, profile, publicKeyHash, entry };
  return {
    enrolment: await takePlace(ctx, entrance, ctx.now()),
    ...originOf({ enteredBy: entry.by, identity: 'identity' in entry ? entry.identity : undefined }),
  };
}

function originOf({ enteredBy, identity }: Pick<CertificateRecord, 'enteredBy' | 'identity'>) {
  return {
    ...(enteredBy === undefined ? {} : { enteredBy }),
    ...(identity === undefined ? {} : { identity }),
  };
}

function repeated(record: CertificateRecord, { publicKeyHash }: Reservation): Issued {
  checkUse(record, publicKeyHash);
  if (record.revokedAt === undefined)
    return { record, der: decodePem(record.certificate, 'CERTIFICATE'), repeated: true };
  throw new EnrollmentError(
    'revoked',
    `certificate: ${record.serialNumber}, made for this request, was revoked at ${record.revokedAt}`,
  );
}

function recordOf(issuance: Issuance, certificate: Certificate): CertificateRecord {
  return {
    id: certificate.serialNumber,
    serialNumber: certificate.serialNumber,
    account: issuance.account,
    deviceId: issuance.deviceId,
    profile: issuance.profile,
    certificate: certificate.pem(),
    fingerprint: certificate.fingerprint,
    publicKeyHash: certificate.publicKeyHash,
    issuerKeyId: certificate.authorityKeyId ?? '',
    authorityId: issuance.leaf.reservation.authorityId,
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    issuedAt: issuance.leaf.reservation.issuedAt,
  };
}

function issuedEvent({ account, deviceId, leaf, basis }: Issuance, record: CertificateRecord) {
  const facts = { account, subject: deviceId, time: Date.parse(record.issuedAt) };
  const data = { ...certificateFacts(record), publicKey: encodePem('PUBLIC KEY', leaf.spkiDer) };
  if (basis.kind === 'entry') return newEvent('CERT_ISSUED', { ...facts, data });
  const { serialNumber: previousSerialNumber, keyChanged } = basis.renews;
  return newEvent('CERT_RENEWED', { ...facts, data: { ...data, previousSerialNumber, keyChanged } });
}
