import { createHash } from 'node:crypto';
import { ATTESTATION_ATTRIBUTE, parseBundle, type TpmStatement } from '@signet/attestation';
import type { Csr } from '@signet/pki';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import type { FindProfile, Profile } from '../profile/profile.ts';
import { listCas, type TrustedCa } from './attestation-ca.ts';
import { NONCE_LIFETIME_MS, type TpmFacts } from './nonce.ts';
import {
  type AttestedKeys,
  type DeviceTpms,
  findAttestedKey,
  type IdentifiedTpm,
  keepAttestedKey,
  requireSameTpm,
} from './tpm-records.ts';
import { refusing, type VerifyDeps, type VouchingTpm, verifyAttestation } from './verify-attestation.ts';

export type AttestationDeps = VerifyDeps & {
  readonly attestedKeys: Pick<AttestedKeys, 'get' | 'insert' | 'update'>;
  readonly deviceTpms: Pick<DeviceTpms, 'get'>;
  readonly findProfile: FindProfile;
};

/** What vouches for where a key lives: nothing, or the TPM that holds it. */
export type Attestation = { readonly kind: 'none' } | { readonly kind: 'tpm'; readonly tpm: IdentifiedTpm };

/** A key that may be certified, the profile that is in force for it (F81), and what vouches for where it lives. */
export type CheckedKey = { readonly profile: Profile; readonly attestation: Attestation };

/** Requires the proof where the profile wants it. Nothing is recorded of the TPM yet. */
export type RequireAttestation = (
  csr: Pick<Csr, 'der' | 'otherAttributes' | 'spkiDer' | 'publicKeyHash'>,
  device: ProvenDevice,
  profile: Profile,
) => Promise<CheckedKey>;

/**
 * The statement of a TPM stands in the CSR (`id-aa-attestation`), or came before it.
 * @throws EnrollmentError `no-attestation`, `bad-attestation`, `wrong-nonce`, `not-a-tpm-key`, `unknown-vendor`, `other-tpm`
 */
export function attestationGuard(deps: AttestationDeps): RequireAttestation {
  return async (csr, { account, deviceId }, profile) => {
    if (profile.attestation !== 'tpm') return { profile, attestation: { kind: 'none' } };
    const device = { account, deviceId };
    const tpm = (await inCsr(deps, csr, device)) ?? (await beforeCsr(deps, csr, device));
    if (tpm === undefined)
      throw new EnrollmentError(
        'no-attestation',
        `attestation: missing; profile "${profile.id}" certifies only keys that are proven to live in a TPM`,
      );
    const identified = await requireSameTpm(deps.deviceTpms, device, tpm.facts);
    return {
      profile: await decided(deps.findProfile, tpm, profile),
      attestation: { kind: 'tpm', tpm: identified },
    };
  };
}

async function inCsr(
  deps: AttestationDeps,
  { der, otherAttributes, spkiDer }: Parameters<RequireAttestation>[0],
  device: ProvenDevice,
): Promise<VouchingTpm | undefined> {
  const value = otherAttributes.get(ATTESTATION_ATTRIBUTE);
  if (value === undefined) return undefined;
  const statement = refusing(() => parseBundle(value));
  const requestHash = createHash('sha256').update(der).digest('hex');
  return verifyAttestation(deps, { device, statement, spkiDer, requestHash });
}

async function beforeCsr(
  deps: AttestationDeps,
  { publicKeyHash }: Pick<Csr, 'publicKeyHash'>,
  device: ProvenDevice,
): Promise<VouchingTpm | undefined> {
  const facts = await findAttestedKey(deps.attestedKeys, device, publicKeyHash, deps.now());
  if (facts === undefined) return undefined;
  const ca = (await listCas(deps.cas, device.account)).find(({ fingerprint }) => fingerprint === facts.caId);
  if (ca === undefined)
    throw new EnrollmentError('unknown-vendor', 'attestation: the account does not trust its CA any more');
  return { facts, ca };
}

/** The first rule of the CA that fits the TPM decides. */
async function decided(
  findProfile: FindProfile,
  { facts, ca }: VouchingTpm,
  asked: Profile,
): Promise<Profile> {
  const rule = ruleFor(facts, ca);
  if (rule === undefined || rule.profile === asked.name) return asked;
  const profile = await findProfile({ account: asked.account, profile: rule.profile });
  if (profile.attestation !== 'tpm')
    throw new EnrollmentError(
      'unknown-profile',
      `attestation: profile "${profile.id}", which such a TPM is enrolled by, does not ask for attestation any more`,
    );
  return profile;
}

function ruleFor({ manufacturer, model }: TpmFacts, { rules }: TrustedCa) {
  return rules.find(
    (rule) =>
      (rule.manufacturer === undefined || rule.manufacturer === manufacturer) &&
      (rule.model === undefined || rule.model === model),
  );
}

/** A statement that comes as JSON, before its CSR: the key may be enrolled for as long as a nonce lives. */
export async function attestKey(
  deps: AttestationDeps,
  device: ProvenDevice,
  statement: TpmStatement,
  key: { readonly spkiDer: Uint8Array; readonly publicKeyHash: string },
): Promise<{ readonly tpm: TpmFacts; readonly expiresAt: string }> {
  const requestHash = createHash('sha256').update(statement.attest).digest('hex');
  const { facts } = await verifyAttestation(deps, { device, statement, spkiDer: key.spkiDer, requestHash });
  const expiresAt = new Date(deps.now() + NONCE_LIFETIME_MS).toISOString();
  const { account, deviceId } = device;
  await keepAttestedKey(deps.attestedKeys, {
    account,
    deviceId,
    publicKeyHash: key.publicKeyHash,
    tpm: facts,
    expiresAt,
  });
  return { tpm: facts, expiresAt };
}
