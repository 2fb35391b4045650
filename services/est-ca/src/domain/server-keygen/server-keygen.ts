import { createHash, createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import {
  type Certificate,
  type ContentCipher,
  decodePemBlocks,
  encodeEnvelopedKey,
  encodePrivateKey,
  exportSpki,
  type KeyKind,
  type KeylessCsr,
  keyIdentifier,
  PkiError,
  parseCertificate,
  parseKey,
  publicKeyHash,
  type VerifiedPeer,
  type WantedEncryption,
  wantedEncryption,
} from '@signet/pki';
import { identify } from '../enrollment/authenticate.ts';
import { readKeylessCsr, requireAttributes, requireLinking } from '../enrollment/csr-policy.ts';
import {
  announceIfRenewed,
  basisOf,
  credentialsOf,
  type EnrollDeps,
  type Enrolled,
  type EnrollRequest,
} from '../enrollment/enroll.ts';
import { certify } from '../enrollment/issue-certificate.ts';
import { enrolledNames } from '../enrollment/subject.ts';
import { EnrollmentError, onBehalfOf } from '../enrollment-error.ts';

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

/** Whose key a new private key is encrypted to. */
export type KeyRecipient = { readonly certificate: Certificate; readonly cipher: ContentCipher };

/**
 * Who can open the key, where the CSR asks that it be encrypted (RFC 7030 §4.4.1): the certificate of the connection, if
 * the CSR names its key. Undefined where the CSR does not ask; where it asks for what cannot be done, it is refused, and
 * no key goes out in the clear.
 * @throws EnrollmentError `malformed-request`
 */
export function keyRecipient(csr: KeylessCsr, peer: VerifiedPeer | undefined): KeyRecipient | undefined {
  const wanted = readWanted(csr);
  if (wanted === undefined) return undefined;
  if (wanted.symmetric !== undefined)
    refuse(
      'DecryptKeyIdentifier: this server shares no symmetric key with the device; use AsymmetricDecryptKeyIdentifier',
    );
  if (peer === undefined || wanted.asymmetric === undefined || !names(wanted.asymmetric, peer.certificate))
    refuse("AsymmetricDecryptKeyIdentifier: is not the key identifier of the connection's certificate");
  if (!['RSA', 'P-256', 'P-384'].includes(parseKey(peer.certificate.spkiDer).kind))
    refuse('AsymmetricDecryptKeyIdentifier: nothing can be encrypted to an Ed25519 key');
  if (wanted.cipher === undefined) refuse('SMIMECapabilities: has none of AES-256-CBC and AES-128-CBC');
  return { certificate: peer.certificate, cipher: wanted.cipher };
}

function readWanted(csr: KeylessCsr): WantedEncryption | undefined {
  try {
    return wantedEncryption(csr);
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new EnrollmentError('malformed-request', `CSR: ${cause.message}`, { cause });
  }
}

/** By the subject key identifier of the certificate, or by any of the usual ways to make one (RFC 5280 §4.2.1.2, RFC 7093 §2). */
function names(identifier: Uint8Array, { subjectKeyId, spkiDer }: Certificate): boolean {
  const { bits } = parseKey(spkiDer);
  const asked = Buffer.from(identifier).toString('hex');
  const usual = [createHash('sha1').update(bits).digest(), Buffer.from(keyIdentifier(bits))];
  return asked === subjectKeyId || usual.some((known) => known.toString('hex') === asked);
}

function refuse(reason: string): never {
  throw new EnrollmentError('malformed-request', `CSR: ${reason}`);
}

/** Signs with the TLS identity of the EST listener, which the device has verified: the party that made the key. */
export function keyEnveloper(identity: () => { readonly key: string; readonly cert: string }): EnvelopKey {
  return (privateKey, { certificate: recipient, cipher }) => {
    const { key, cert } = identity();
    const [leaf] = decodePemBlocks(cert);
    if (leaf === undefined) throw new TypeError('the TLS identity has no certificate');
    return encodeEnvelopedKey({
      privateKey,
      recipient,
      cipher,
      signer: { certificate: parseCertificate(leaf.der), privateKey: createPrivateKey(key) },
    });
  };
}
