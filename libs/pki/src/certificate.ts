import { hash, type KeyObject } from 'node:crypto';
import { DerReader } from './der/reader.ts';
import { constructed, primitive, TAG } from './der/tags.ts';
import {
  EXTENSION,
  type Extension,
  type KeyUsage,
  NO_NAMES,
  parseAuthorityInfoAccess,
  parseAuthorityKeyId,
  parseBasicConstraints,
  parseCrlDistributionPoints,
  parseExtKeyUsage,
  parseKeyUsage,
  parseSubjectAltName,
  parseSubjectKeyId,
  readExtensions,
  type SubjectAltNames,
} from './extensions.ts';
import { toHex } from './hex.ts';
import { canonicalSpki, loadPublicKey, publicKeyHash } from './keys.ts';
import { type Name, parseName } from './name.ts';
import { decodePem, encodePem } from './pem.ts';
import { PkiError } from './pki-error.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm, verifySignature } from './signature-algorithm.ts';

const knownExtensions: ReadonlySet<string> = new Set(Object.values(EXTENSION));

/**
 * Facts of an X.509 certificate (RFC 5280 §4.1), and what follows from them, computed when first asked for.
 * Says nothing about whether the certificate is to be trusted. Made by `parseCertificate`.
 */
export class Certificate {
  /** The whole certificate. */
  declare readonly der: Uint8Array;
  /** What the signature covers. */
  declare readonly tbsDer: Uint8Array;
  declare readonly version: 1 | 2 | 3;
  /** Lower-case hex without leading zero bytes. */
  declare readonly serialNumber: string;
  /** Exact bytes of the issuer's Name. */
  declare readonly issuerDer: Uint8Array;
  declare readonly issuer: Name;
  /** Exact bytes of the Subject. */
  declare readonly subjectDer: Uint8Array;
  declare readonly subject: Name;
  /** Exact bytes of the validity. */
  declare readonly validityDer: Uint8Array;
  /** Unix milliseconds. */
  declare readonly notBefore: number;
  /** Unix milliseconds; the last moment at which it is valid. */
  declare readonly notAfter: number;
  declare readonly spkiDer: Uint8Array;
  /** Whether it has an issuerUniqueID or a subjectUniqueID. */
  declare readonly hasUniqueIds: boolean;
  /** Lower-case hex. */
  declare readonly subjectKeyId?: string;
  /** Lower-case hex. */
  declare readonly authorityKeyId?: string;
  declare readonly basicConstraints?: { readonly ca: boolean; readonly pathLen?: number };
  /** Missing where the certificate does not restrict its use. */
  declare readonly keyUsage?: ReadonlySet<KeyUsage>;
  /** OIDs; missing where the certificate does not restrict its use. */
  declare readonly extKeyUsage?: readonly string[];
  declare readonly sans: SubjectAltNames;
  declare readonly crlUrls: readonly string[];
  declare readonly ocspUrls: readonly string[];
  declare readonly caIssuerUrls: readonly string[];
  /** OIDs of critical extensions that this library does not know: whoever relies on the certificate must refuse it. */
  declare readonly unknownCritical: readonly string[];
  declare readonly extensions: readonly Extension[];
  declare readonly signatureAlgorithm: SignatureAlgorithm;
  declare readonly signature: Uint8Array;

  #publicKey: KeyObject | undefined;
  #publicKeyHash: string | undefined;
  #fingerprint: string | undefined;

  constructor(facts: CertificateFacts) {
    Object.assign(this, facts);
  }

  /** SHA-256 of the DER, lower-case hex. */
  get fingerprint(): string {
    this.#fingerprint ??= hash('sha256', this.der, 'hex');
    return this.#fingerprint;
  }

  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  get publicKeyHash(): string {
    this.#publicKeyHash ??= publicKeyHash(this.spkiDer);
    return this.#publicKeyHash;
  }

  /** The subject's key. Throws `unsupported-key` where it is of a kind that cannot be loaded. */
  get publicKey(): KeyObject {
    this.#publicKey ??= loadPublicKey(this.spkiDer);
    return this.#publicKey;
  }

  /** PEM text, with a line break at the end. */
  pem(): string {
    return encodePem('CERTIFICATE', this.der);
  }
}

type CertificateFacts = Omit<Certificate, 'fingerprint' | 'publicKeyHash' | 'publicKey' | 'pem'>;

/** Reads one certificate; strict DER, `malformed` or `too-large` otherwise. The bytes are copied. */
export function parseCertificate(der: Uint8Array): Certificate {
  const own = Uint8Array.prototype.slice.call(der);
  const outer = DerReader.sequence(own, 'certificate');
  const tbsDer = outer.element(TAG.SEQUENCE, 'tbsCertificate');
  const signatureAlgorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm');
  const signature = outer.bitString('signature');
  outer.finish('certificate');
  const tbs = parseTbs(tbsDer);
  if (tbs.signatureAlgorithm.oid !== signatureAlgorithm.oid)
    throw new PkiError(
      'malformed',
      'signatureAlgorithm: differs from the one that is signed (RFC 5280 §4.1.1.2)',
    );
  return new Certificate({ ...tbs, der: own, signature });
}

/** What a certificate says before it is signed. */
export type TbsFacts = Omit<CertificateFacts, 'der' | 'signature'>;

/** Reads a TBSCertificate. Its facts are views of the bytes. */
export function parseTbs(tbsDer: Uint8Array): TbsFacts {
  const tbs = DerReader.sequence(tbsDer, 'tbsCertificate');
  const version = readVersion(tbs);
  const serialNumber = readSerialNumber(tbs);
  const signatureAlgorithm = readSignatureAlgorithm(tbs, 'tbsCertificate signature');
  const issuerDer = tbs.element(TAG.SEQUENCE, 'issuer');
  const validityDer = tbs.element(TAG.SEQUENCE, 'validity');
  const validity = DerReader.sequence(validityDer, 'validity');
  const notBefore = validity.time('notBefore');
  const notAfter = validity.time('notAfter');
  validity.finish('validity');
  const subjectDer = tbs.element(TAG.SEQUENCE, 'subject');
  const spkiDer = canonicalSpki(tbs.element(TAG.SEQUENCE, 'subjectPublicKeyInfo'));
  const hasUniqueIds = tbs.peek() === primitive(1) || tbs.peek() === primitive(2);
  if (tbs.peek() === primitive(1)) tbs.content(primitive(1), 'issuerUniqueID');
  if (tbs.peek() === primitive(2)) tbs.content(primitive(2), 'subjectUniqueID');
  let extensions: readonly Extension[] = [];
  if (tbs.peek() === constructed(3)) {
    if (version !== 3) throw new PkiError('malformed', `extensions: in a certificate of version ${version}`);
    const wrapper = tbs.enter(constructed(3), 'extensions');
    extensions = readExtensions(wrapper, 'extensions');
    wrapper.finish('extensions');
  }
  tbs.finish('tbsCertificate');
  return {
    tbsDer,
    version,
    serialNumber,
    issuerDer,
    issuer: parseName(issuerDer, 'issuer'),
    subjectDer,
    subject: parseName(subjectDer, 'subject'),
    validityDer,
    notBefore,
    notAfter,
    spkiDer,
    hasUniqueIds,
    ...extensionFacts(extensions),
    extensions,
    signatureAlgorithm,
  };
}

/** Reads one certificate from PEM text. */
export function parseCertificatePem(pem: string): Certificate {
  return parseCertificate(decodePem(pem, 'CERTIFICATE'));
}

function readVersion(tbs: DerReader): 1 | 2 | 3 {
  if (tbs.peek() !== constructed(0)) return 1;
  const wrapper = tbs.enter(constructed(0), 'version');
  const version = wrapper.smallInteger('version') + 1;
  wrapper.finish('version');
  if (version !== 2 && version !== 3) throw new PkiError('malformed', `version: ${version} is none of X.509`);
  return version;
}

function readSerialNumber(tbs: DerReader): string {
  const content = tbs.integer('serialNumber');
  if ((content[0] as number) >= 0x80)
    throw new PkiError('malformed', 'serialNumber: negative (RFC 5280 §4.1.2.2)');
  const magnitude = content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
  if (magnitude.length > 20)
    throw new PkiError('malformed', 'serialNumber: more than 20 bytes (RFC 5280 §4.1.2.2)');
  return toHex(magnitude);
}

type ExtensionFacts = Pick<
  CertificateFacts,
  | 'subjectKeyId'
  | 'authorityKeyId'
  | 'basicConstraints'
  | 'keyUsage'
  | 'extKeyUsage'
  | 'sans'
  | 'crlUrls'
  | 'ocspUrls'
  | 'caIssuerUrls'
  | 'unknownCritical'
>;

function extensionFacts(extensions: readonly Extension[]): ExtensionFacts {
  const values = new Map(extensions.map((extension) => [extension.oid, extension.value]));
  const read = <T>(oid: string, parse: (value: Uint8Array) => T): T | undefined => {
    const value = values.get(oid);
    return value === undefined ? undefined : parse(value);
  };
  const subjectKeyId = read(EXTENSION.subjectKeyId, parseSubjectKeyId);
  const authorityKeyId = read(EXTENSION.authorityKeyId, parseAuthorityKeyId);
  const basicConstraints = read(EXTENSION.basicConstraints, parseBasicConstraints);
  const keyUsage = read(EXTENSION.keyUsage, parseKeyUsage);
  const extKeyUsage = read(EXTENSION.extKeyUsage, parseExtKeyUsage);
  const access = read(EXTENSION.authorityInfoAccess, parseAuthorityInfoAccess);
  return {
    ...(subjectKeyId === undefined ? {} : { subjectKeyId }),
    ...(authorityKeyId === undefined ? {} : { authorityKeyId }),
    ...(basicConstraints === undefined ? {} : { basicConstraints }),
    ...(keyUsage === undefined ? {} : { keyUsage }),
    ...(extKeyUsage === undefined ? {} : { extKeyUsage }),
    sans: read(EXTENSION.subjectAltName, parseSubjectAltName) ?? NO_NAMES,
    crlUrls: read(EXTENSION.crlDistributionPoints, parseCrlDistributionPoints) ?? [],
    ocspUrls: access?.ocsp ?? [],
    caIssuerUrls: access?.caIssuers ?? [],
    unknownCritical: extensions.filter((e) => e.critical && !knownExtensions.has(e.oid)).map((e) => e.oid),
  };
}

/**
 * Whether `issuer` signed `certificate`. Names, times and permissions are not looked at. An algorithm that is not
 * known, or does not fit the issuer's key, verifies nothing.
 */
export function verifyCertificateSignature(
  certificate: Certificate,
  issuer: Certificate | KeyObject,
): boolean {
  const key = issuer instanceof Certificate ? issuer.publicKey : issuer;
  return verifySignature(certificate.signatureAlgorithm, certificate.tbsDer, certificate.signature, key);
}
