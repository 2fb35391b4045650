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
import { authenticate } from '../enrollment/authenticate.ts';
import { readKeylessCsr, requireAttributes, requireChannelBinding } from '../enrollment/csr-policy.ts';
import {
  credentialsOf,
  type EnrollCtx,
  type Enrolled,
  type EnrollRequest,
  issueAndAnnounce,
} from '../enrollment/enroll.ts';
import { enrolledNames } from '../enrollment/subject.ts';
import { EnrollmentError, namingDevice } from '../est/enrollment-error.ts';

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
export async function enrollWithServerKey(
  ctx: EnrollCtx & { readonly envelopKey: EnvelopKey },
  request: EnrollRequest,
): Promise<KeyEnrolled | undefined> {
  return namingDevice(async (proven) => {
    const csr = readKeylessCsr(request.csr);
    const credentials = credentialsOf(request, csr.challengePassword);
    const requester = await authenticate(ctx, { ...request, credentials }, proven);
    proven(requester);
    const { profile } = requester;
    if (!profile.serverKeygen) return undefined;
    requireChannelBinding(profile, csr.challengePassword, request.channelBinding);
    requireAttributes(csr, profile);
    const names = enrolledNames(csr, requester, profile, ctx.trustDomain);
    const recipient = keyRecipient(csr, request.peer);

    const type = profile.keyKinds[0] ?? 'P-256';
    const { publicKey, privateKey } = await newKey(type);
    const spkiDer = exportSpki(publicKey);
    const enrolled = await issueAndAnnounce(ctx, {
      ...requester,
      csr,
      requestedKeyHash: publicKeyHash(csr.spkiDer),
      key: { spkiDer, publicKeyHash: publicKeyHash(spkiDer), type },
      attestation: { kind: 'none' },
      names,
      peer: request.peer,
    });
    const pkcs8 = encodePrivateKey(privateKey);
    if (recipient === undefined) return { ...enrolled, key: { der: pkcs8, enveloped: false } };
    const der = await ctx.envelopKey(pkcs8, recipient);
    pkcs8.fill(0);
    return { ...enrolled, key: { der, enveloped: true } };
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
    reject(
      'DecryptKeyIdentifier: this server shares no symmetric key with the device; use AsymmetricDecryptKeyIdentifier',
    );
  if (peer === undefined || wanted.asymmetric === undefined || !names(wanted.asymmetric, peer.certificate))
    reject("AsymmetricDecryptKeyIdentifier: is not the key identifier of the connection's certificate");
  if (!['RSA', 'P-256', 'P-384'].includes(parseKey(peer.certificate.spkiDer).kind))
    reject('AsymmetricDecryptKeyIdentifier: nothing can be encrypted to an Ed25519 key');
  if (wanted.cipher === undefined) reject('SMIMECapabilities: has none of AES-256-CBC and AES-128-CBC');
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

function reject(reason: string): never {
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
