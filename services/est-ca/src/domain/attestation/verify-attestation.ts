import {
  AttestationError,
  type AttestationErrorCode,
  checkAttestationKey,
  endorsementKeyOf,
  makeCredential,
  nameOf,
  parsePublicArea,
  readStatement,
  type TpmStatement,
  verifyStatement,
  vouchedTpm,
} from '@signet/attestation';
import type { RefusalCode } from '@signet/contracts';
import type { Certificate } from '@signet/pki';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import { type AttestationCas, listCas, type TrustedCa } from './attestation-ca.ts';
import { askedNonce, giveNonce, type NonceDeps, type TpmFacts, useNonce } from './nonce.ts';

/** What a device says of its TPM. */
export type ChallengeRequest = {
  /** TPMT_PUBLIC. */
  readonly attestationKey: Uint8Array;
  /** DER: that of the endorsement key, and CAs above it. */
  readonly certificates: readonly Uint8Array[];
};

export type Challenge = {
  /** Input of TPM2_ActivateCredential; what comes out is the nonce. */
  readonly credentialBlob: Uint8Array;
  readonly encryptedSecret: Uint8Array;
  readonly expiresAt: string;
};

/**
 * Gives a device its nonce in a form that only the TPM with this endorsement key can open, and only while it holds this
 * attestation key (Part 1 §24): a statement that answers the nonce shows that key to be one of that TPM.
 * @throws EnrollmentError `bad-attestation`, `not-a-tpm-key`, `unknown-vendor`
 */
export async function challenge(
  deps: NonceDeps & { readonly cas: Pick<AttestationCas, 'find'> },
  device: ProvenDevice,
  { attestationKey, certificates }: ChallengeRequest,
): Promise<Challenge> {
  const area = refusing(() => parsePublicArea(attestationKey));
  refusing(() => checkAttestationKey(area));
  const cas = (await listCas(deps.cas, device.account)).map((ca) => ({ ca, certificate: ca.parsed }));
  const vouched = refusing(() => vouchedTpm(certificates, 'endorsement', { cas, now: deps.now() }));
  const endorsement = refusing(() => endorsementKeyOf(vouched.certificate.publicKey));
  const { nonce, expiresAt } = await giveNonce(deps, device, {
    attestationKey: Buffer.from(attestationKey).toString('base64'),
    tpm: factsOf(vouched, vouched.ca.ca),
  });
  return { ...makeCredential(endorsement, nameOf(area), nonce), expiresAt };
}

export type VerifyDeps = NonceDeps & { readonly cas: Pick<AttestationCas, 'find'> };

/** What a statement has to be about. */
export type Attested = {
  readonly device: ProvenDevice;
  readonly statement: TpmStatement;
  readonly spkiDer: Uint8Array;
  /** SHA-256 of the request, hex: the one request that uses up the nonce. */
  readonly requestHash: string;
};

/** A TPM, and the CA that vouches for it. */
export type VouchingTpm = { readonly facts: TpmFacts; readonly ca: TrustedCa };

/**
 * That a TPM of a trusted vendor holds the key: its statement answers a nonce that this device was given, is signed by
 * an attestation key, which a certificate or the opened challenge shows to be one, and says that the key cannot leave.
 * The nonce is used up by it.
 * @throws EnrollmentError `bad-attestation`, `wrong-nonce`, `not-a-tpm-key`, `unknown-vendor`
 */
export async function verifyAttestation(
  deps: VerifyDeps,
  { device, statement, spkiDer, requestHash }: Attested,
): Promise<VouchingTpm> {
  const read = refusing(() => readStatement(statement));
  const asked = await askedNonce(deps, device, read.info.extraData);
  const cas = await listCas(deps.cas, device.account);
  const { attestationKey, ...tpm } =
    asked.activated === undefined ? certified(statement, cas, deps.now()) : activated(asked.activated, cas);
  const nonce = new Uint8Array(Buffer.from(asked.id, 'hex'));
  refusing(() => verifyStatement(read, { nonce, spkiDer, attestationKey }));
  await useNonce(deps, asked, requestHash);
  return tpm;
}

/** The attestation key has a certificate of its vendor. */
function certified(statement: TpmStatement, cas: readonly TrustedCa[], now: number) {
  const trusted = cas.map((ca) => ({ ca, certificate: ca.parsed }));
  const vouched = refusing(() => vouchedTpm(statement.certificates, 'attestation', { cas: trusted, now }));
  const { ca } = vouched.ca;
  return { attestationKey: vouched.certificate.publicKey, ca, facts: factsOf(vouched, ca) };
}

/** The nonce could only be read by the TPM with the endorsement key, while it held this attestation key. */
function activated(
  { attestationKey, tpm }: { readonly attestationKey: string; readonly tpm: TpmFacts },
  cas: readonly TrustedCa[],
) {
  const ca = cas.find(({ fingerprint }) => fingerprint === tpm.caId);
  if (ca === undefined)
    throw new EnrollmentError('unknown-vendor', 'attestation: the account does not trust its CA any more');
  const area = new Uint8Array(Buffer.from(attestationKey, 'base64'));
  return { attestationKey: refusing(() => parsePublicArea(area)).publicKey, ca, facts: tpm };
}

/** Of the TPM's certificate. */
export function factsOf(
  {
    manufacturer,
    model,
    version,
    certificate,
  }: Pick<TpmFacts, 'manufacturer' | 'model' | 'version'> & {
    readonly certificate: Pick<Certificate, 'publicKeyHash'>;
  },
  ca: TrustedCa,
): TpmFacts {
  return {
    ...{ caId: ca.fingerprint, tpmKey: certificate.publicKeyHash },
    ...(manufacturer === undefined ? {} : { manufacturer }),
    ...(model === undefined ? {} : { model }),
    ...(version === undefined ? {} : { version }),
  };
}

const codes = {
  malformed: 'bad-attestation',
  'too-large': 'bad-attestation',
  'unsupported-algorithm': 'bad-attestation',
  'wrong-magic': 'bad-attestation',
  'wrong-type': 'bad-attestation',
  'bad-signature': 'bad-attestation',
  'wrong-nonce': 'wrong-nonce',
  'wrong-name': 'not-a-tpm-key',
  'wrong-key': 'not-a-tpm-key',
  'wrong-attribute': 'not-a-tpm-key',
  'not-an-attestation-key': 'not-a-tpm-key',
  'unknown-vendor': 'unknown-vendor',
  'expired-certificate': 'unknown-vendor',
  'wrong-certificate': 'unknown-vendor',
} as const satisfies Record<AttestationErrorCode, RefusalCode>;

/** Runs a step of an attestation; what it refuses is the refusal of an enrolment, with its own name in the message. */
export function refusing<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    throw new EnrollmentError(codes[cause.code], `attestation: ${cause.code}: ${cause.message}`, { cause });
  }
}
