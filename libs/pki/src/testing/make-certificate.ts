import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { type Certificate, parseCertificate } from '../certificate.ts';
import { constructed, primitive } from '../der/tags.ts';
import { encodeTime } from '../der/time.ts';
import {
  bitString,
  boolean,
  der,
  namedBits,
  octetString,
  oid,
  sequence,
  smallInteger,
  unsignedInteger,
} from '../der/writer.ts';
import { EXTENSION, type KeyUsage, keyUsages } from '../extensions.ts';
import { toHex } from '../hex.ts';
import { exportSpki, generateKeyPair, keyIdentifier, parseKey } from '../keys.ts';
import { encodeName, type Name } from '../name.ts';
import { encodeSignatureAlgorithm, hashOf, signatureAlgorithmFor } from '../signature-algorithm.ts';

/** Everything about a test certificate; unlike the platform's issuance it makes wrong ones as readily as right ones. */
export type CertificatePlan = {
  readonly subject: Name;
  readonly publicKey: KeyObject;
  readonly issuer: Name;
  readonly signingKey: KeyObject;
  /** Missing: no authority key id. */
  readonly authorityKeyId?: string | undefined;
  /** Missing: no subject key id. */
  readonly subjectKeyId?: string | undefined;
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly serialNumber?: string | undefined;
  readonly ca?: boolean | undefined;
  readonly pathLen?: number | undefined;
  readonly keyUsage?: readonly KeyUsage[] | undefined;
  /** OIDs. */
  readonly extKeyUsage?: readonly string[] | undefined;
  readonly uris?: readonly string[] | undefined;
  /** DNS names and IPv4 addresses. */
  readonly names?: readonly string[] | undefined;
  /** OID of a critical extension that nobody knows. */
  readonly unknownCritical?: string | undefined;
};

/** A new P-256 private key. */
export function newTestKey(): KeyObject {
  return generateKeyPair('P-256').privateKey;
}

/** Subject key identifier of a key, lower-case hex. */
export function testKeyId(publicKey: KeyObject): string {
  return toHex(keyIdentifier(parseKey(exportSpki(publicKey)).bits));
}

/** Signs what the plan says, whatever it says. */
export function makeCertificate(plan: CertificatePlan): Certificate {
  const algorithm = signatureAlgorithmFor(createPublicKey(plan.signingKey));
  const identifier = encodeSignatureAlgorithm(algorithm);
  const tbs = sequence(
    der(constructed(0), smallInteger(2)),
    unsignedInteger(
      plan.serialNumber === undefined ? randomBytes(16) : Buffer.from(plan.serialNumber, 'hex'),
    ),
    identifier,
    encodeName(plan.issuer),
    sequence(encodeTime(plan.notBefore), encodeTime(plan.notAfter)),
    encodeName(plan.subject),
    plan.publicKey.export({ format: 'der', type: 'spki' }),
    der(constructed(3), sequence(...extensionsOf(plan))),
  );
  return parseCertificate(
    sequence(tbs, identifier, bitString(sign(hashOf(algorithm), tbs, plan.signingKey))),
  );
}

function extensionsOf(plan: CertificatePlan): Uint8Array[] {
  const { subjectKeyId, authorityKeyId, ca, pathLen, keyUsage, extKeyUsage, uris, names, unknownCritical } =
    plan;
  const alternatives = [
    ...(uris ?? []).map((uri) => der(primitive(6), Buffer.from(uri))),
    ...(names ?? []).map((name) =>
      isIPv4(name)
        ? der(primitive(7), Uint8Array.from(name.split('.'), Number))
        : der(primitive(2), Buffer.from(name)),
    ),
  ];
  const found: Uint8Array[] = [];
  const add = (dotted: string, critical: boolean, value: Uint8Array) =>
    found.push(sequence(oid(dotted), ...(critical ? [boolean(true)] : []), octetString(value)));
  if (subjectKeyId !== undefined)
    add(EXTENSION.subjectKeyId, false, octetString(Buffer.from(subjectKeyId, 'hex')));
  if (authorityKeyId !== undefined)
    add(EXTENSION.authorityKeyId, false, sequence(der(primitive(0), Buffer.from(authorityKeyId, 'hex'))));
  if (ca === true)
    add(
      EXTENSION.basicConstraints,
      true,
      sequence(boolean(true), ...(pathLen === undefined ? [] : [smallInteger(pathLen)])),
    );
  if (keyUsage !== undefined)
    add(EXTENSION.keyUsage, true, namedBits(keyUsage.map((usage) => keyUsages.indexOf(usage))));
  if (extKeyUsage !== undefined) add(EXTENSION.extKeyUsage, false, sequence(...extKeyUsage.map(oid)));
  if (alternatives.length > 0) add(EXTENSION.subjectAltName, false, sequence(...alternatives));
  if (unknownCritical !== undefined) add(unknownCritical, true, sequence());
  return found;
}
