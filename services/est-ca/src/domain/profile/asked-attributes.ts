import { ATTESTATION_ATTRIBUTE } from '@signet/attestation';
import {
  type CsrAttributes,
  encodeCsrAttributes,
  type KeyKind,
  type KnownSignatureAlgorithm,
  keyKinds,
} from '@signet/pki';
import type { Profile } from './profile.ts';

/**
 * What a profile asks of CSRs, so that one made like this is never refused for its shape (RFC 7030 §4.5.2, RFC 9908).
 * A profile that takes every key and signature asks for none; of several keys it asks for the one that it prefers.
 */
export function askedAttributes(profile: Profile): CsrAttributes {
  const anyKey =
    profile.signatureAlgorithms === undefined && keyKinds.every((kind) => profile.keyKinds.includes(kind));
  const keyKind = anyKey ? undefined : profile.keyKinds[0];
  const signatureAlgorithm = keyKind === undefined ? undefined : askedSignature(profile, keyKind);
  return {
    ...(keyKind === undefined ? {} : { keyKind }),
    ...(signatureAlgorithm === undefined ? {} : { signatureAlgorithm }),
    challengePassword: profile.popLinking,
    extensions: profile.requiredExtensions,
    attributes:
      profile.attestation === 'tpm'
        ? [...profile.requiredAttributes, ATTESTATION_ATTRIBUTE]
        : profile.requiredAttributes,
    ...(profile.subject === 'keep' ? { organization: profile.account } : {}),
  };
}

/** DER of what `csrattrs` answers. */
export function csrAttributesOf(profile: Profile): Uint8Array {
  return encodeCsrAttributes(askedAttributes(profile), profile.csrAttributes);
}

const usual: Readonly<Record<KeyKind, KnownSignatureAlgorithm>> = {
  'P-256': 'ecdsa-with-SHA256',
  'P-384': 'ecdsa-with-SHA384',
  Ed25519: 'Ed25519',
  RSA: 'sha256WithRSAEncryption',
};

/** The usual one of the key, or the first that fits it of those that are allowed. */
function askedSignature(
  { signatureAlgorithms }: Profile,
  keyKind: KeyKind,
): KnownSignatureAlgorithm | undefined {
  const preferred = usual[keyKind];
  if (signatureAlgorithms === undefined || signatureAlgorithms.includes(preferred)) return preferred;
  const family = keyKind === 'RSA' ? /RSA/ : keyKind === 'Ed25519' ? /^Ed25519$/ : /^ecdsa/;
  return signatureAlgorithms.find((name) => family.test(name));
}
