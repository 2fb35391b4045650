import { ATTESTATION_ATTRIBUTE } from '@signet/attestation';
import type { ProfileChanges, RefusalCode } from '@signet/contracts';
import { decodePem, PkiError, parseName } from '@signet/pki';
import type { LeafSigner } from '../certificate/issue.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { isSecret } from '../grant/grant.ts';
import { csrAttributesOf } from '../profile/asked-attributes.ts';
import { checkProfile } from '../profile/check-profile.ts';
import { changed, listProfiles, type ProfileDeps } from '../profile/keep-profiles.ts';
import { defaultProfile, labelOf, type Profile, ProfileError } from '../profile/profile.ts';
import { checkCsrPolicy, isChannelBinding, readCsr } from './csr-policy.ts';
import { enrolledNames } from './subject.ts';

export type DryRunInput = {
  readonly account: string;
  readonly name: string;
  readonly settings?: ProfileChanges | undefined;
  readonly deviceId: string;
  /** PKCS#10 in PEM. */
  readonly csr: string;
};

export type DryRunResult = {
  readonly profile: Profile;
  readonly stored: boolean;
  readonly csrAttributes: Uint8Array;
  readonly refusals: readonly { readonly code: RefusalCode; readonly message: string }[];
  readonly certificate?: {
    readonly subject: Record<string, string>;
    readonly subjectAltNames: readonly string[];
    readonly keyType: string;
    readonly authorityId: string;
    readonly notAfter: string;
  };
  readonly approval: boolean;
  readonly webhook?: string;
};

export type DryRun = (input: DryRunInput) => Promise<DryRunResult>;

/**
 * Tries a profile, as it is stored or as it would be with other settings, on a CSR: every rule of policy that needs
 * neither credentials nor a connection, and every lint. Nothing is signed, stored or asked of anybody.
 */
export function dryRunner(
  deps: ProfileDeps & {
    readonly trustDomain: string;
    readonly signer: Pick<LeafSigner, 'reserve' | 'prepare'>;
  },
): DryRun {
  return async ({ account, name, settings, deviceId, csr: pem }) => {
    const found = (await listProfiles(deps, account)).find(({ profile }) => profile.name === name);
    if (found === undefined && settings === undefined)
      throw new ProfileError(
        'unknown-profile',
        `name: account "${account}" has no profile "${name}"`,
        'name',
      );
    const base = found?.profile ?? {
      ...defaultProfile(account, deps.defaults),
      id: labelOf(account, name),
      name,
    };
    const profile = settings === undefined ? base : changed(base, settings);
    checkProfile(profile, deps.bounds());
    const judged = await judge(deps, profile, { account, deviceId }, pem);
    return {
      profile,
      stored: found?.stored ?? false,
      csrAttributes: csrAttributesOf(profile),
      ...judged,
      approval: profile.approval !== 'none',
      ...(profile.webhook === undefined ? {} : { webhook: profile.webhook.url }),
    };
  };
}

async function judge(
  { bounds, signer, trustDomain }: Parameters<typeof dryRunner>[0],
  profile: Profile,
  device: { readonly account: string; readonly deviceId: string },
  pem: string,
): Promise<Pick<DryRunResult, 'refusals' | 'certificate'>> {
  const { issuerOf, now } = bounds();
  const refusals: { code: RefusalCode; message: string }[] = [];
  const collect = <T>(step: () => T): T | undefined => {
    try {
      return step();
    } catch (error) {
      if (error instanceof PkiError)
        refusals.push({ code: 'malformed-request', message: `csr: ${error.message}` });
      else if (error instanceof EnrollmentError) refusals.push({ code: error.code, message: error.message });
      else throw error;
      return undefined;
    }
  };
  const csr = collect(() => readCsr(decodePem(pem, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')));
  if (csr === undefined) return { refusals };
  collect(() => checkCsrPolicy(csr, profile));
  if (profile.attestation === 'tpm' && !csr.attributes.includes(ATTESTATION_ATTRIBUTE))
    refusals.push({
      code: 'no-attestation',
      message: 'attestation: no statement of a TPM in the CSR; it would have to come before',
    });
  const wrong = wrongPassword(profile, csr.challengePassword);
  if (wrong !== undefined) refusals.push(wrong);
  const names = collect(() => enrolledNames(csr, device, profile, trustDomain));
  const issuer = issuerOf(device.account);
  if (names === undefined || refusals.length > 0 || issuer === undefined) return { refusals };
  const { account } = device;
  const { publicKeyHash, spkiDer } = csr;
  const reservation = await signer.reserve({
    account,
    publicKeyHash,
    validityDays: profile.validityDays,
    now,
  });
  collect(() => signer.prepare({ reservation, spkiDer, ...names }));
  if (refusals.length > 0) return { refusals };
  const { uris, dns } = names.subjectAltNames;
  return {
    refusals,
    certificate: {
      subject: Object.fromEntries(Object.entries(parseName(names.subjectDer, 'subject'))) as Record<
        string,
        string
      >,
      subjectAltNames: [...uris.map((uri) => `URI:${uri}`), ...dns.map((host) => `DNS:${host}`)],
      keyType: csr.keyType,
      authorityId: issuer.id,
      notAfter: reservation.notAfter,
    },
  };
}

/**
 * What enrolment would have against the challengePassword whatever connection the CSR comes on: there it has to be the
 * channel binding, or, without PoP linking where a grant is what proves the device, that grant.
 */
export function wrongPassword(
  { popLinking, authentication }: Pick<Profile, 'popLinking' | 'authentication'>,
  password: string | undefined,
): { readonly code: RefusalCode; readonly message: string } | undefined {
  if (password === undefined)
    return popLinking
      ? { code: 'wrong-binding', message: 'challengePassword: missing; the profile requires PoP linking' }
      : undefined;
  if (isChannelBinding(password)) return undefined;
  if (popLinking)
    return {
      code: 'wrong-binding',
      message: 'challengePassword: differs from any channel binding; the profile requires PoP linking',
    };
  const byGrant = authentication === 'grant' || authentication === 'certificate+grant';
  return byGrant && !isSecret(password)
    ? { code: 'wrong-grant', message: 'challengePassword: is neither a grant nor a channel binding' }
    : undefined;
}
