import type { KeyObject } from 'node:crypto';
import type { Certificate } from '../certificate.ts';
import { constructed } from '../der/tags.ts';
import { der, owned, smallInteger } from '../der/writer.ts';
import {
  authorityConstraintsExtension,
  authorityInfoAccessExtension,
  authorityKeyIdExtension,
  crlDistributionPointsExtension,
  extKeyUsageExtension,
  keyUsageExtension,
  ocspNoCheckExtension,
} from '../encode-extensions.ts';
import { EKU } from '../extensions.ts';
import { exportSpki, keyIdentifier, parseKey } from '../keys.ts';
import { encodeName, type Name } from '../name.ts';
import { type NameConstraints, nameConstraintsOf } from '../name-constraints.ts';
import { PkiError } from '../pki-error.ts';
import { encodeSignatureAlgorithm, signatureAlgorithmFor } from '../signature-algorithm.ts';
import type { SignatureAlgorithmName, Signer } from '../signer/signer.ts';

/**
 * What a certificate is for: `operational` (a device on MQTT and the gateway), `bootstrap` (IDevID, put in at
 * manufacture), `registration` (may ask for the registration of devices), `server` (TLS of a service), `authority` (a
 * CA), `ocsp` (answers OCSP for its issuer), `statements` (signs commands and the like, on no connection).
 */
export type CertificateKind =
  | 'operational'
  | 'bootstrap'
  | 'registration'
  | 'server'
  | 'authority'
  | 'ocsp'
  | 'statements';

/** Who signs: what goes into each of its certificates. */
export type SigningIssuer = {
  readonly subjectDer: Uint8Array;
  readonly publicKey: KeyObject;
  /** Subject key identifier, lower-case hex. */
  readonly keyId: string;
  /** Unix milliseconds; nothing that it signs may end later. */
  readonly notAfter: number;
  /** How many CAs may follow below it; missing where there is no bound. */
  readonly pathLen?: number;
  /** What it is bound to, and those above it that are known. */
  readonly constraints?: readonly NameConstraints[];
  /** Whether it signs itself. */
  readonly selfSigned: boolean;
  /** Whether it certifies its own name with another key, as a root does that is replaced (RFC 4210 §4.4). */
  readonly selfIssued?: true;
};

/**
 * The issuer that a CA certificate makes. `above`: the CAs above it, whose name constraints bind what it signs as well
 * (RFC 5280 §6.1.4 (g)); a verifier may hold the root to its own too.
 * @throws PkiError `not-issuable` where the certificate is not one of a CA, `malformed`
 */
export function issuerFrom(certificate: Certificate, above: readonly Certificate[] = []): SigningIssuer {
  const { basicConstraints, keyUsage, subjectKeyId } = certificate;
  const constraints = [certificate, ...above]
    .map(({ extensions }) => nameConstraintsOf(extensions))
    .filter((found) => found !== undefined);
  if (basicConstraints?.ca !== true)
    throw new PkiError('not-issuable', 'issuer: its certificate is not of a CA (basicConstraints)');
  if (keyUsage !== undefined && !keyUsage.has('keyCertSign'))
    throw new PkiError('not-issuable', 'issuer: its certificate does not allow keyCertSign (keyUsage)');
  if (subjectKeyId === undefined)
    throw new PkiError('not-issuable', 'issuer: its certificate has no subjectKeyIdentifier');
  return {
    subjectDer: certificate.subjectDer,
    publicKey: certificate.publicKey,
    keyId: subjectKeyId,
    notAfter: certificate.notAfter,
    ...(basicConstraints.pathLen === undefined ? {} : { pathLen: basicConstraints.pathLen }),
    ...(constraints.length === 0 ? {} : { constraints }),
    selfSigned: false,
  };
}

/** The issuer of a self-signed root that is still to be made. */
export function rootIssuer(root: {
  subject: Name | Uint8Array;
  publicKey: KeyObject;
  notAfter: number;
}): SigningIssuer {
  const id = keyIdentifier(parseKey(exportSpki(root.publicKey)).bits);
  return {
    subjectDer: root.subject instanceof Uint8Array ? root.subject : encodeName(root.subject),
    publicKey: root.publicKey,
    keyId: Buffer.from(id).toString('hex'),
    notAfter: root.notAfter,
    selfSigned: true,
  };
}

/** What is the same in every certificate that one issuer gives under one profile, as bytes ready to be put in. */
export type Template = {
  readonly kind: CertificateKind;
  readonly issuer: SigningIssuer;
  readonly algorithm: SignatureAlgorithmName;
  readonly versionDer: Uint8Array;
  readonly algorithmDer: Uint8Array;
  /** All extensions but the subject's key id and names. */
  readonly extensionsDer: Uint8Array;
  /** The CA whose name, key and key id the certificate bears, where it has one already. */
  readonly continues?: Certificate;
  /** Signers whose key has been found to be the issuer's. */
  readonly signers: WeakSet<Signer>;
};

export type TemplateRequest = {
  readonly kind: CertificateKind;
  readonly issuer: Certificate | SigningIssuer;
  /** `authority` only: how many CAs may follow below. */
  readonly pathLen?: number;
  /**
   * `authority` only: a certificate of the CA that is certified again. Its key id stays, by whatever method it was made:
   * what it has signed names its issuer by that.
   */
  readonly continues?: Certificate;
  readonly crlUrls?: readonly string[];
  readonly ocspUrls?: readonly string[];
  readonly caIssuerUrls?: readonly string[];
};

/** Prepares a template: once for each issuer and profile, not for each certificate. */
export function createTemplate(request: TemplateRequest): Template {
  const { kind, pathLen, continues, crlUrls = [], ocspUrls = [], caIssuerUrls = [] } = request;
  const issuer = 'selfSigned' in request.issuer ? request.issuer : issuerFrom(request.issuer);
  if (pathLen !== undefined && kind !== 'authority')
    throw new PkiError('not-issuable', `pathLen: of no meaning in a certificate of kind "${kind}"`);
  if (continues !== undefined && (kind !== 'authority' || continues.subjectKeyId === undefined))
    throw new PkiError('not-issuable', 'continues: only a CA with a subjectKeyIdentifier is certified again');
  const algorithm = signatureAlgorithmFor(issuer.publicKey);
  const extensions = [
    ...usageExtensions(kind, pathLen),
    authorityKeyIdExtension(Buffer.from(issuer.keyId, 'hex')),
    ...(crlUrls.length === 0 ? [] : [crlDistributionPointsExtension(crlUrls)]),
    ...(ocspUrls.length + caIssuerUrls.length === 0
      ? []
      : [authorityInfoAccessExtension(ocspUrls, caIssuerUrls)]),
  ];
  return {
    kind,
    issuer,
    algorithm,
    versionDer: owned(der(constructed(0), smallInteger(2))),
    algorithmDer: owned(encodeSignatureAlgorithm(algorithm)),
    extensionsDer: owned(Buffer.concat(extensions)),
    ...(continues === undefined ? {} : { continues }),
    signers: new WeakSet(),
  };
}

const purposes = {
  operational: [EKU.clientAuth],
  bootstrap: [EKU.clientAuth],
  registration: [EKU.clientAuth, EKU.registration],
  server: [EKU.serverAuth],
  statements: [EKU.documentSigning],
} as const satisfies Record<Exclude<CertificateKind, 'authority' | 'ocsp'>, readonly string[]>;

function usageExtensions(kind: CertificateKind, pathLen: number | undefined): readonly Uint8Array[] {
  if (kind === 'authority')
    return [authorityConstraintsExtension(pathLen), keyUsageExtension(['keyCertSign', 'cRLSign'])];
  if (kind === 'ocsp')
    return [
      keyUsageExtension(['digitalSignature']),
      extKeyUsageExtension(EKU.ocspSigning),
      ocspNoCheckExtension(),
    ];
  return [keyUsageExtension(['digitalSignature']), extKeyUsageExtension(...purposes[kind])];
}
