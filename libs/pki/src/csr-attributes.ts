import { ATTRIBUTE } from './csr.ts';
import { constructed, TAG } from './der/tags.ts';
import {
  bitString,
  der,
  nullValue,
  oid,
  owned,
  sequence,
  smallInteger,
  unsignedInteger,
  utf8,
} from './der/writer.ts';
import { extKeyUsageExtension, keyUsageExtension } from './encode-extensions.ts';
import { EKU } from './extensions.ts';
import type { KeyKind } from './keys.ts';
import { encodeSignatureAlgorithm, type KnownSignatureAlgorithm } from './signature-algorithm.ts';

/** Extensions that a CSR can be asked for, as device certificates have them. */
export type AskedExtension = 'keyUsage' | 'extKeyUsage';

/** What clients are asked to put into their CSR. */
export type CsrAttributes = {
  /** Absent where nothing is asked of the key. RSA is asked for with 2048 bits. */
  readonly keyKind?: KeyKind;
  /** List form only: the template has no place for it. */
  readonly signatureAlgorithm?: KnownSignatureAlgorithm;
  readonly challengePassword: boolean;
  readonly extensions: readonly AskedExtension[];
  /** OIDs of other attributes, dotted. */
  readonly attributes: readonly string[];
  /** Template form only: the Subject needs a CN, which the client knows, and this O. */
  readonly organization?: string;
};

const CERTIFICATION_REQUEST_INFO_TEMPLATE = '1.2.840.113549.1.9.16.2.61';
const RSA_BITS = 2048;

const curveOids: Partial<Record<KeyKind, string>> = {
  'P-256': '1.2.840.10045.3.1.7',
  'P-384': '1.3.132.0.34',
};
const keyOids = {
  'P-256': '1.2.840.10045.2.1',
  'P-384': '1.2.840.10045.2.1',
  Ed25519: '1.3.101.112',
  RSA: '1.2.840.113549.1.1.1',
} as const satisfies Record<KeyKind, string>;

/**
 * DER of `CsrAttrs`: an empty SEQUENCE where nothing is asked for (RFC 7030 §4.5.2). `list`: OIDs and attributes, the
 * key and the extension request once at most (RFC 9908 §3.2). `template`: one CertificationRequestInfoTemplate and
 * nothing else (RFC 9908 §3.4).
 */
export function encodeCsrAttributes(asked: CsrAttributes, form: 'list' | 'template'): Uint8Array {
  return owned(
    form === 'list' ? list(asked) : sequence(attribute(CERTIFICATION_REQUEST_INFO_TEMPLATE, template(asked))),
  );
}

function list({
  keyKind,
  signatureAlgorithm,
  challengePassword,
  extensions,
  attributes,
}: CsrAttributes): Uint8Array {
  return sequence(
    ...(challengePassword ? [oid(ATTRIBUTE.challengePassword)] : []),
    ...(keyKind === undefined ? [] : [keyAttribute(keyKind)]),
    ...(extensions.length === 0 ? [] : [attribute(ATTRIBUTE.extensionRequest, requested(extensions))]),
    ...attributes.map(oid),
    ...(signatureAlgorithm === undefined || signatureAlgorithm === 'Ed25519'
      ? []
      : [algorithmOid(signatureAlgorithm)]),
  );
}

/** A type with no value stands for any value of it (RFC 9908 §3.2). */
function keyAttribute(kind: KeyKind): Uint8Array {
  const curve = curveOids[kind];
  if (curve !== undefined) return attribute(keyOids[kind], oid(curve));
  return kind === 'RSA' ? attribute(keyOids[kind], smallInteger(RSA_BITS)) : attribute(keyOids[kind]);
}

/** The OID alone: the first element of the AlgorithmIdentifier. */
function algorithmOid(name: KnownSignatureAlgorithm): Uint8Array {
  const identifier = encodeSignatureAlgorithm(name);
  return identifier.subarray(2, 4 + (identifier[3] as number));
}

function requested(extensions: readonly AskedExtension[]): Uint8Array {
  return sequence(...extensions.map((name) => askedExtension(name)));
}

function askedExtension(name: AskedExtension): Uint8Array {
  return name === 'keyUsage' ? keyUsageExtension(['digitalSignature']) : extKeyUsageExtension(EKU.clientAuth);
}

function template({
  keyKind,
  challengePassword,
  extensions,
  attributes,
  organization,
}: CsrAttributes): Uint8Array {
  const asked = [
    ...(challengePassword ? [attribute(ATTRIBUTE.challengePassword)] : []),
    ...(extensions.length === 0 ? [] : [attribute(ATTRIBUTE.extensionRequest, requested(extensions))]),
    ...attributes.map((dotted) => attribute(dotted)),
  ].toSorted(Buffer.compare);
  return sequence(
    smallInteger(0),
    ...(organization === undefined ? [] : [nameTemplate(organization)]),
    ...(keyKind === undefined ? [] : [der(constructed(0), ...keyTemplate(keyKind))]),
    der(constructed(1), ...asked),
  );
}

/** An attribute without a value is the client's to fill in. */
function nameTemplate(organization: string): Uint8Array {
  return sequence(
    der(TAG.SET, sequence(oid('2.5.4.10'), utf8(organization))),
    der(TAG.SET, sequence(oid('2.5.4.3'))),
  );
}

/** The size of an RSA key is said by a modulus of that size, which is no key (RFC 9908 §3.4). */
function keyTemplate(kind: KeyKind): Uint8Array[] {
  const curve = curveOids[kind];
  if (curve !== undefined) return [sequence(oid(keyOids[kind]), oid(curve))];
  if (kind !== 'RSA') return [sequence(oid(keyOids[kind]))];
  const placeholder = sequence(
    unsignedInteger(new Uint8Array(RSA_BITS / 8).fill(0xff)),
    unsignedInteger(Uint8Array.of(1, 0, 1)),
  );
  return [sequence(oid(keyOids[kind]), nullValue()), bitString(placeholder)];
}

function attribute(dotted: string, ...values: readonly Uint8Array[]): Uint8Array {
  return sequence(oid(dotted), der(TAG.SET, ...values));
}
