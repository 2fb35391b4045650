import {
  type Certificate,
  checkKey,
  decodePemBlocks,
  EKU,
  EXTENSION,
  isSameName,
  nameConstraintsOf,
  outsideOf,
  PkiError,
  parseCertificate,
  parseKey,
  verifyCertificateSignature,
} from '@signet/pki';
import { AuthorityError } from './authority.ts';

/**
 * Reads the one certificate in PEM text. What looks like a private key is refused before anything else: it is not ours
 * to have (F54).
 * @throws AuthorityError `bad-certificate`
 */
export function readAuthorityCertificate(pem: string): Certificate {
  if (/PRIVATE KEY/.test(pem))
    throw new AuthorityError('bad-certificate', 'certificate: a private key; send the certificate alone');
  try {
    const blocks = decodePemBlocks(pem).filter(({ label }) => label === 'CERTIFICATE');
    const [only] = blocks;
    if (only === undefined || blocks.length > 1)
      throw new PkiError('bad-pem', `${blocks.length} certificates in PEM where one is expected`);
    return parseCertificate(only.der);
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new AuthorityError('bad-certificate', `certificate: ${cause.message}`, { cause });
  }
}

export type WantedShape = {
  /** What it is to sign: clients, servers, or both (a root). */
  readonly purpose: 'clients' | 'servers' | 'both';
  /** Whether CAs have to be allowed below it; `leaves`: that none may be. */
  readonly below: 'authorities' | 'leaves' | 'any';
  readonly mustSignCrls: boolean;
  /**
   * Whether certificates that are made here stand below it: those have to be good to verifiers that go by every rule
   * (`openssl verify -x509_strict`). Of an external CA its maker decides.
   */
  readonly isStrict: boolean;
  /** Unix milliseconds. */
  readonly now: number;
};

/** @throws AuthorityError `bad-certificate`, naming the first thing that keeps it from being such a CA */
export function checkAuthorityShape(certificate: Certificate, wanted: WantedShape): void {
  const reason = flaw(certificate, wanted) ?? (wanted.isStrict ? strictFlaw(certificate) : undefined);
  if (reason !== undefined) throw new AuthorityError('bad-certificate', `certificate: ${reason}`);
}

function flaw(certificate: Certificate, { purpose, below, mustSignCrls, now }: WantedShape) {
  const { basicConstraints, keyUsage, extKeyUsage, subjectKeyId, unknownCritical } = certificate;
  if (basicConstraints?.ca !== true) return 'basicConstraints: CA:true is missing';
  if (below === 'authorities' && basicConstraints.pathLen === 0)
    return 'basicConstraints: pathLen 0 allows no CA below this one';
  if (below === 'leaves' && basicConstraints.pathLen !== 0)
    return `basicConstraints: pathLen must be 0, it is ${basicConstraints.pathLen ?? 'not set'}`;
  if (keyUsage?.has('keyCertSign') !== true) return 'keyUsage: keyCertSign is missing';
  if (mustSignCrls && !keyUsage.has('cRLSign')) return 'keyUsage: cRLSign is missing';
  const uses =
    purpose === 'both'
      ? [EKU.clientAuth, EKU.serverAuth]
      : [purpose === 'clients' ? EKU.clientAuth : EKU.serverAuth];
  if (extKeyUsage !== undefined && !extKeyUsage.includes(EKU.any))
    for (const use of uses) if (!extKeyUsage.includes(use)) return `extKeyUsage: ${use} is missing`;
  if (subjectKeyId === undefined) return 'subjectKeyIdentifier is missing';
  try {
    nameConstraintsOf(certificate.extensions);
  } catch (error) {
    if (error instanceof PkiError) return error.message;
    throw error;
  }
  if (unknownCritical.length > 0) return `critical extension ${unknownCritical[0]} is not known`;
  if (certificate.subject.commonName === undefined) return 'subject: has no common name';
  if (certificate.notBefore > now)
    return `notBefore: ${new Date(certificate.notBefore).toISOString()} is in the future`;
  if (certificate.notAfter <= now) return `notAfter: ${new Date(certificate.notAfter).toISOString()} is past`;
  try {
    checkKey(parseKey(certificate.spkiDer));
    void certificate.publicKey;
  } catch (error) {
    if (error instanceof PkiError) return error.message;
    throw error;
  }
  return undefined;
}

/** What RFC 5280 wants of a CA and lenient verifiers let pass. */
function strictFlaw({ extensions, sans }: Certificate): string | undefined {
  const isCritical = (oid: string) => extensions.find((one) => one.oid === oid)?.critical;
  if (isCritical(EXTENSION.basicConstraints) === false)
    return 'basicConstraints: must be critical (RFC 5280 §4.2.1.9)';
  if (isCritical(EXTENSION.subjectKeyId) === true)
    return 'subjectKeyIdentifier: must not be critical (RFC 5280 §4.2.1.2)';
  if (isCritical(EXTENSION.authorityKeyId) === true)
    return 'authorityKeyIdentifier: must not be critical (RFC 5280 §4.2.1.1)';
  const hasNames = Object.values(sans).some((names) => names.length > 0);
  if (isCritical(EXTENSION.subjectAltName) !== undefined && !hasNames)
    return 'subjectAltName: must name something (RFC 5280 §4.2.1.6)';
  return undefined;
}

/** A root is its own issuer. @throws AuthorityError `does-not-chain`, naming why */
export function checkSelfSigned(certificate: Certificate): void {
  const reject = (reason: string): never => {
    throw new AuthorityError('does-not-chain', `certificate: ${reason}`);
  };
  if (Buffer.compare(certificate.issuerDer, certificate.subjectDer) !== 0)
    reject('issuer: is not the subject; a root is signed by itself');
  if (certificate.authorityKeyId !== undefined && certificate.authorityKeyId !== certificate.subjectKeyId)
    reject('authorityKeyIdentifier: is not its subjectKeyIdentifier; a root is signed by itself');
  if (!isSignedBy(certificate, certificate))
    reject('signature: is not made with its own key; a root is signed by itself');
}

/**
 * `isCross`: the root's own name, certified by another root.
 * @throws AuthorityError `does-not-chain`, naming why
 */
export function checkChain(certificate: Certificate, issuer: Certificate, isCross = false): void {
  const reject = (reason: string): never => {
    throw new AuthorityError('does-not-chain', `certificate: ${reason}`);
  };
  const name = issuer.subject.commonName ?? 'the root';
  if (Buffer.compare(certificate.issuerDer, issuer.subjectDer) !== 0)
    reject(`issuer: is not "${name}", the registered root`);
  if (certificate.authorityKeyId === undefined)
    reject(`authorityKeyIdentifier: lacks the key id of "${name}" (RFC 5280 §4.2.1.1)`);
  if (certificate.authorityKeyId !== issuer.subjectKeyId)
    reject(`authorityKeyIdentifier: is not the key id of "${name}"`);
  if (!isCross && isSameName(certificate.subjectDer, issuer.subjectDer))
    reject(`subject: is the name of "${name}", which signed it; a CA has a name of its own`);
  if (!isSignedBy(certificate, issuer)) reject(`signature: "${name}" did not sign this`);
  const outside = isCross ? undefined : outsideOfIssuer(certificate, issuer);
  if (outside !== undefined) reject(`nameConstraints of "${name}": ${outside}`);
  if (certificate.notAfter > issuer.notAfter) reject(`notAfter: is past the end of "${name}"`);
}

function outsideOfIssuer(certificate: Certificate, { extensions }: Certificate): string | undefined {
  try {
    const constraints = nameConstraintsOf(extensions);
    return constraints === undefined ? undefined : outsideOf(constraints, certificate);
  } catch (error) {
    if (error instanceof PkiError) return error.message;
    throw error;
  }
}

function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  try {
    return verifyCertificateSignature(certificate, issuer);
  } catch (error) {
    if (error instanceof PkiError) return false;
    throw error;
  }
}
