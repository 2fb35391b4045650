import { AuthorityError } from '../authority/authority.ts';
import type { IssuerRegistry } from '../authority/issuer-registry.ts';
import { expand, isDnsPattern, labelOf, type Profile, ProfileError, parseLabel } from './profile.ts';

/** What a profile is held against. */
export type ProfileBounds = {
  /** The CA that the account issues with, and its end (Unix ms); undefined where there is none at hand. */
  readonly issuerOf: (account: string) => { readonly id: string; readonly notAfter: number } | undefined;
  /** Why a webhook's URL cannot be called, as far as it says so itself; undefined where nothing is against it. */
  readonly unfitWebhook: (url: string) => string | undefined;
  readonly now: number;
};

/** The issuing CA of an account and its end, of the CAs at hand. */
export function issuerOf(registry: Pick<IssuerRegistry, 'forAccount'>): ProfileBounds['issuerOf'] {
  return (account) => {
    try {
      const { id, notAfter } = registry.forAccount(account, 'issuing').document;
      return { id, notAfter: Date.parse(notAfter) };
    } catch (error) {
      if (error instanceof AuthorityError) return undefined;
      throw error;
    }
  };
}

/**
 * Refuses a profile that could not be kept: a label that is an operation's name (RFC 7030 §3.2.2), a validity that its
 * issuer cannot give, settings that contradict each other.
 * @throws ProfileError `invalid-profile`, with the field
 */
export function checkProfile(profile: Profile, bounds: ProfileBounds): void {
  for (const check of [label, validity, keys, names, attributes, attestation, webhook])
    check(profile, bounds);
}

function label({ account, name }: Profile): void {
  if (parseLabel(labelOf(account, name)) === undefined)
    invalid('name', `"${labelOf(account, name)}" cannot be a label (RFC 7030 §3.2.2)`);
}

function validity(profile: Profile, { issuerOf, now }: ProfileBounds): void {
  const issuer = issuerOf(profile.account);
  for (const field of ['validityDays', 'renewedValidityDays'] as const) {
    const days = profile[field];
    if (days === undefined) continue;
    if (issuer === undefined) invalid(field, 'the account has no active issuing CA whose key is at hand');
    if (now + days * 86_400_000 > issuer.notAfter)
      invalid(
        field,
        `${days} days are past the end of CA "${issuer.id}", ${new Date(issuer.notAfter).toISOString()}`,
      );
    if (profile.renewalWindowDays !== undefined && profile.renewalWindowDays > days)
      invalid(
        'renewalWindowDays',
        `${profile.renewalWindowDays} days are longer than ${field}, ${days} days`,
      );
  }
}

function keys({ keyKinds, signatureAlgorithms, csrAttributes }: Profile): void {
  if (new Set(keyKinds).size < keyKinds.length) invalid('keyKinds', 'one occurs twice');
  if (signatureAlgorithms === undefined) return;
  if (csrAttributes === 'template')
    invalid('signatureAlgorithms', 'the template form cannot ask for one (RFC 9908 §3.4)');
  const [preferred] = keyKinds;
  const family = preferred === 'RSA' ? /RSA/ : preferred === 'Ed25519' ? /^Ed25519$/ : /^ecdsa/;
  if (!signatureAlgorithms.some((name) => family.test(name)))
    invalid('signatureAlgorithms', `none fits the preferred key, ${preferred}`);
}

function names(profile: Profile): void {
  const { subject, subjectAttributes, dnsNames, account } = profile;
  if (subject === 'keep' && subjectAttributes !== undefined)
    invalid('subjectAttributes', 'a Subject that is kept takes nothing from a template');
  for (const [field, value] of Object.entries(subjectAttributes ?? {})) {
    if (typeof value !== 'string') continue;
    const longest = expand(value, { account, deviceId: 'x'.repeat(64), profile: profile.name });
    if (longest.length > 128) invalid(`subjectAttributes.${field}`, 'longer than 128 characters');
    if ((field === 'country' || field === 'serialNumber') && !/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(longest))
      invalid(`subjectAttributes.${field}`, 'a character that PrintableString lacks');
  }
  const wrong = dnsNames.find((pattern) => !isDnsPattern(pattern));
  if (wrong !== undefined) invalid('dnsNames', `"${wrong}" is not a DNS name`);
}

function attributes({ requiredAttributes }: Profile): void {
  if (new Set(requiredAttributes).size < requiredAttributes.length)
    invalid('requiredAttributes', 'one occurs twice');
  const reserved = requiredAttributes.find((dotted) => dotted in own);
  if (reserved !== undefined) invalid('requiredAttributes', `${reserved}: set ${own[reserved]} instead`);
}

function attestation(profile: Profile): void {
  if (profile.attestation === 'tpm' && profile.serverKeygen)
    invalid('attestation', 'a key that is made here (serverKeygen) lives in no TPM');
}

const own: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.9.7': 'popLinking',
  '1.2.840.113549.1.9.14': 'requiredExtensions',
};

function webhook({ webhook: hook }: Profile, { unfitWebhook }: ProfileBounds): void {
  if (hook === undefined) return;
  const url = new URL(hook.url);
  const why = unfitWebhook(hook.url);
  if (why !== undefined) invalid('webhook.url', why);
  if (url.username !== '' || url.password !== '') invalid('webhook.url', 'no credentials may stand in it');
}

function invalid(field: string, reason: string): never {
  throw new ProfileError('invalid-profile', `${field}: ${reason}`, field);
}
