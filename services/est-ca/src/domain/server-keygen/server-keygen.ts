import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { encodePrivateKey, exportSpki, type KeyKind, publicKeyHash } from '@signet/pki';
import { identify } from '../enrollment/applicant.ts';
import { certify } from '../enrollment/certify.ts';
import { readKeylessCsr, requireAttributes } from '../enrollment/csr-policy.ts';
import {
  announceIfRenewed,
  basisOf,
  credentialsOf,
  type EnrollDeps,
  type Enrolled,
  type EnrollRequest,
} from '../enrollment/enroll.ts';
import { onBehalfOf } from '../enrollment/enrollment-error.ts';
import { requireLinking } from '../enrollment/linking.ts';
import { enrolledNames } from '../enrollment/subject.ts';
import { type KeyRecipient, keyRecipient } from './key-recipient.ts';

/** Encrypts a PKCS#8 key to its recipient, signed by this server: EnvelopedData, DER. */
export type EnvelopKey = (privateKey: Uint8Array, recipient: KeyRecipient) => Promise<Uint8Array>;

/** A key that was made, and goes out once: it is in no store and no log. */
export type MadeKey = {
  /** PKCS#8, or EnvelopedData where the CSR asked for it. */
  readonly der: Uint8Array;
  readonly enveloped: boolean;
};

export type KeyEnrolled = Enrolled & { readonly key: MadeKey };

/** RSA keys that are made. */
const RSA_BITS = 3072;
const generate = promisify(generateKeyPair);

/**
 * RFC 7030 §4.4: as `simpleenroll`, but that the key is made here, of the kind that the profile prefers. The CSR's key
 * and signature are passed over. Since the key is kept nowhere, the request cannot be repeated: an answer that was lost
 * needs a new grant.
 * @returns undefined where the profile does not turn it on
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export async function serverKeygen(
  deps: EnrollDeps & { readonly envelopKey: EnvelopKey },
  request: EnrollRequest,
): Promise<KeyEnrolled | undefined> {
  const csr = readKeylessCsr(request.csr);
  const applicant = await identify(deps, {
    credentials: credentialsOf(request, csr.challengePassword),
    label: request.label,
    peer: request.peer,
  });
  const { profile } = applicant;
  if (!profile.serverKeygen) return undefined;
  return onBehalfOf(applicant, async () => {
    requireLinking(profile, csr.challengePassword, request.channelBinding);
    requireAttributes(csr, profile);
    const names = enrolledNames(csr, applicant, profile, deps.trustDomain);
    const recipient = keyRecipient(csr, request.peer);

    const { publicKey, privateKey } = await newKey(profile.keyKinds[0] ?? 'P-256');
    const spkiDer = exportSpki(publicKey);
    const issued = await certify(deps, {
      ...applicant,
      ...basisOf(applicant, publicKeyHash(spkiDer)),
      csr,
      askedKeyHash: publicKeyHash(csr.spkiDer),
      key: { spkiDer, publicKeyHash: publicKeyHash(spkiDer), type: profile.keyKinds[0] ?? 'P-256' },
      attestation: { kind: 'none' },
      names,
      peer: request.peer,
    });
    await announceIfRenewed(deps, applicant, issued);
    const pkcs8 = encodePrivateKey(privateKey);
    if (recipient === undefined) return { ...issued, profile, key: { der: pkcs8, enveloped: false } };
    const der = await deps.envelopKey(pkcs8, recipient);
    pkcs8.fill(0);
    return { ...issued, profile, key: { der, enveloped: true } };
  });
}

/** Off the main thread: RSA takes long. */
function newKey(kind: KeyKind): Promise<{ readonly publicKey: KeyObject; readonly privateKey: KeyObject }> {
  if (kind === 'RSA') return generate('rsa', { modulusLength: RSA_BITS });
  if (kind === 'Ed25519') return generate('ed25519');
  return generate('ec', { namedCurve: kind });
}
