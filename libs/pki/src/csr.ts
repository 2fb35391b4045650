import type { KeyObject } from 'node:crypto';
import { DerReader } from './der/reader.ts';
import { constructed, TAG } from './der/tags.ts';
import {
  EXTENSION,
  type Extension,
  NO_NAMES,
  parseSubjectAltName,
  readExtensions,
  type SubjectAltNames,
} from './extensions.ts';
import {
  canonicalSpki,
  type KeyFacts,
  type KeyType,
  loadPublicKey,
  parseKey,
  publicKeyHash,
} from './keys.ts';
import { type Name, parseName, readText } from './name.ts';
import { PkiError } from './pki-error.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm, verifySignature } from './signature-algorithm.ts';

/** Attribute OIDs of a certification request (RFC 2985 §5.4). */
export const ATTRIBUTE = {
  challengePassword: '1.2.840.113549.1.9.7',
  extensionRequest: '1.2.840.113549.1.9.14',
} as const;

/** A certification request (RFC 2986), as read: nothing in it is verified before `verifyCsr`. Made by `parseCsr`. */
export class Csr {
  declare readonly der: Uint8Array;
  /** What the signature covers. */
  declare readonly infoDer: Uint8Array;
  /** Exact bytes of the Subject. */
  declare readonly subjectDer: Uint8Array;
  declare readonly subject: Name;
  declare readonly spkiDer: Uint8Array;
  declare readonly key: KeyFacts;
  declare readonly keyType: KeyType;
  declare readonly challengePassword?: string;
  /** Subject alternative names of its extensionRequest. */
  declare readonly sans: SubjectAltNames;
  /** All requested extensions, unread. */
  declare readonly extensions: readonly Extension[];
  /** OIDs of all attributes. */
  declare readonly attributes: readonly string[];
  /** First value, DER, of each attribute that is not read here. */
  declare readonly otherAttributes: ReadonlyMap<string, Uint8Array>;
  declare readonly signatureAlgorithm: SignatureAlgorithm;
  declare readonly signature: Uint8Array;
  #publicKey: KeyObject | undefined;
  #publicKeyHash: string | undefined;

  constructor(facts: CsrFacts) {
    Object.assign(this, facts);
  }

  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  get publicKeyHash(): string {
    this.#publicKeyHash ??= publicKeyHash(this.spkiDer);
    return this.#publicKeyHash;
  }

  /** Throws `unsupported-key` where the key is not one, such as a point that is not on its curve. */
  get publicKey(): KeyObject {
    this.#publicKey ??= loadPublicKey(this.spkiDer);
    return this.#publicKey;
  }
}

type CsrFacts = Omit<Csr, 'publicKey' | 'publicKeyHash'>;

/** Largest request that is read, in bytes. */
export const MAX_CSR_BYTES = 32 * 1024;

/** Reads a request; strict DER. Throws `malformed`, `too-large` or `unsupported-key`. The bytes are copied. */
export function parseCsr(der: Uint8Array): Csr {
  const request = readRequest(der);
  const key = parseKey(request.spkiDer);
  return new Csr({ ...request, key, keyType: key.type });
}

/** A request whose key and signature are of no account, as where the server makes the key (RFC 7030 §4.4.1). */
export type KeylessCsr = Omit<CsrFacts, 'key' | 'keyType'>;

/** Reads all of a request but its key. Throws `malformed` or `too-large`. The bytes are copied. */
export function parseKeylessCsr(der: Uint8Array): KeylessCsr {
  return readRequest(der);
}

function readRequest(der: Uint8Array): KeylessCsr {
  const own = Uint8Array.prototype.slice.call(der);
  const outer = DerReader.sequence(own, 'CSR', MAX_CSR_BYTES);
  const infoDer = outer.element(TAG.SEQUENCE, 'certificationRequestInfo');
  const signatureAlgorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm', { toleratesNull: true });
  const signature = outer.bitString('signature');
  outer.finish('CSR');

  const info = DerReader.sequence(infoDer, 'certificationRequestInfo');
  const version = info.smallInteger('version');
  if (version !== 0) throw new PkiError('malformed', `version: ${version}, must be 0 (RFC 2986 §4.1)`);
  const subjectDer = info.element(TAG.SEQUENCE, 'subject');
  const spkiDer = canonicalSpki(info.element(TAG.SEQUENCE, 'subjectPublicKeyInfo'));
  const attributes = info.atEnd ? NO_ATTRIBUTES : readAttributes(info.enter(constructed(0), 'attributes'));
  info.finish('certificationRequestInfo');

  return {
    der: own,
    infoDer,
    subjectDer,
    subject: parseName(subjectDer, 'subject'),
    spkiDer,
    ...attributes,
    signatureAlgorithm,
    signature,
  };
}

type Attributes = Pick<Csr, 'challengePassword' | 'sans' | 'extensions' | 'attributes' | 'otherAttributes'>;

const NO_ATTRIBUTES: Attributes = {
  sans: NO_NAMES,
  extensions: [],
  attributes: [],
  otherAttributes: new Map(),
};

function readAttributes(list: DerReader): Attributes {
  const oids: string[] = [];
  const others = new Map<string, Uint8Array>();
  let challengePassword: string | undefined;
  let extensions: readonly Extension[] = [];
  while (!list.atEnd) {
    const attribute = list.enter(TAG.SEQUENCE, 'attributes');
    const oid = attribute.oid('attributes');
    if (oids.includes(oid)) throw new PkiError('malformed', `attributes: ${oid} occurs twice`);
    oids.push(oid);
    const values = attribute.enter(TAG.SET, `attribute ${oid}`);
    attribute.finish(`attribute ${oid}`);
    if (oid === ATTRIBUTE.challengePassword) challengePassword = readText(values, 'challengePassword');
    else if (oid === ATTRIBUTE.extensionRequest) extensions = readExtensions(values, 'extensionRequest');
    else
      while (!values.atEnd) {
        const value = values.any(`attribute ${oid}`);
        if (!others.has(oid)) others.set(oid, value);
      }
    values.finish(`attribute ${oid}`);
  }
  const names = extensions.find((extension) => extension.oid === EXTENSION.subjectAltName);
  return {
    ...(challengePassword === undefined ? {} : { challengePassword }),
    sans: names === undefined ? NO_NAMES : parseSubjectAltName(names.value),
    extensions,
    attributes: oids,
    otherAttributes: others,
  };
}

/**
 * Checks that the request is signed with the key that it carries (RFC 2986 §3). Throws `unsupported-algorithm` where
 * its algorithm is not known or does not fit the key, `bad-signature` where it does not verify.
 */
export function verifyCsr(csr: Csr): void {
  const { name, oid } = csr.signatureAlgorithm;
  if (name === undefined)
    throw new PkiError('unsupported-algorithm', `signatureAlgorithm: ${oid} is not supported`);
  const fits =
    csr.key.kind === 'RSA'
      ? name.endsWith('WithRSAEncryption')
      : csr.key.kind === 'Ed25519'
        ? name === 'Ed25519'
        : name.startsWith('ecdsa-');
  if (!fits)
    throw new PkiError('unsupported-algorithm', `signatureAlgorithm: ${name} with a ${csr.keyType} key`);
  if (!verifySignature(csr.signatureAlgorithm, csr.infoDer, csr.signature, csr.publicKey))
    throw new PkiError('bad-signature', 'signature: the CSR is not signed with the key that it carries');
}
