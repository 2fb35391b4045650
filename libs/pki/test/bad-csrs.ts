import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createCsr, encodeName, exportSpki, generateKeyPair, type PkiErrorCode } from '@signet/pki';
import { constructed, TAG } from '../src/der/tags.ts';
import { bitString, der, nullValue, oid, printable, sequence, smallInteger } from '../src/der/writer.ts';

/** A request with a defect: its bytes, and how it must be refused. */
export type BadCsr = { readonly der: Uint8Array; readonly code: PkiErrorCode; readonly message: string };

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const RSA_SHA256 = sequence(oid('1.2.840.113549.1.1.11'), nullValue());
const subject = encodeName({ commonName: 'dev-1', organization: 'acme' });

type Parts = {
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  readonly attributes?: Uint8Array;
  readonly algorithm?: Uint8Array;
  readonly key?: KeyObject;
};

/** A request from parts; whatever is not given is right, and the signature is that of `key`. */
function csrOf(parts: Parts): Uint8Array {
  const key = parts.key ?? generateKeyPair('P-256').privateKey;
  const info = sequence(
    parts.version ?? smallInteger(0),
    parts.subject ?? subject,
    parts.spki ?? exportSpki(key),
    parts.attributes ?? der(constructed(0)),
  );
  return sequence(info, parts.algorithm ?? ECDSA_SHA256, bitString(sign('sha256', info, key)));
}

function ecKey(namedCurve: string): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

function rsaKey(modulusLength: number, publicExponent = 65537): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey;
}

function replaced(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  return bytes.with(at, byte);
}

const p256Algorithm = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));

function deeplyNested(depth: number): Uint8Array {
  let inner = nullValue();
  for (let i = 0; i < depth; i++) inner = sequence(inner);
  return inner;
}

/** Every bad request there is a rule against, by the file name it would have. */
export function badCsrs(): Readonly<Record<string, BadCsr>> {
  const good = createCsr({
    subject: { commonName: 'dev-1' },
    privateKey: generateKeyPair('P-256').privateKey,
  });
  const challenge = sequence(oid('1.2.840.113549.1.9.7'), der(TAG.SET, printable('secret')));
  const unknown = (value: Uint8Array): Uint8Array => sequence(oid('1.2.3.4'), der(TAG.SET, value));
  const withAttribute = (value: Uint8Array): Uint8Array => csrOf({ attributes: der(constructed(0), value) });
  const malformed = (bytes: Uint8Array, message: string): BadCsr => ({
    der: bytes,
    code: 'malformed',
    message,
  });
  const tooLarge = withAttribute(unknown(der(TAG.OCTET_STRING, new Uint8Array(40_000))));
  return {
    'empty.csr.der': malformed(new Uint8Array(0), 'CSR: missing'),
    'not-der.csr.der': malformed(Buffer.from('hello'), 'CSR: tag 0x30 expected, found 0x68'),
    'truncated.csr.der': malformed(good.subarray(0, -1), 'CSR: truncated'),
    'trailing-byte.csr.der': malformed(Buffer.concat([good, Uint8Array.of(0)]), 'CSR: 1 trailing bytes'),
    'indefinite-length.csr.der': malformed(replaced(good, 1, 0x80), 'CSR: an indefinite length (BER)'),
    'long-form-length.csr.der': malformed(
      Buffer.concat([Uint8Array.of(0x30, 0x83, 0), good.subarray(2)]),
      'CSR: a length that is not minimal (BER)',
    ),
    'version-1.csr.der': malformed(
      csrOf({ version: smallInteger(1) }),
      'version: 1, must be 0 (RFC 2986 §4.1)',
    ),
    'padded-version.csr.der': malformed(
      csrOf({ version: der(TAG.INTEGER, Uint8Array.of(0, 0)) }),
      'version: an INTEGER that is not minimal',
    ),
    'empty-relative-name.csr.der': malformed(
      csrOf({ subject: sequence(der(TAG.SET)) }),
      'subject: an empty relative name',
    ),
    'invalid-utf8-subject.csr.der': malformed(
      csrOf({
        subject: sequence(der(TAG.SET, sequence(oid('2.5.4.3'), der(TAG.UTF8_STRING, Uint8Array.of(0xff))))),
      }),
      'subject: text that is not in its encoding',
    ),
    'wrong-printable-subject.csr.der': malformed(
      csrOf({ subject: sequence(der(TAG.SET, sequence(oid('2.5.4.3'), printable('a_b')))) }),
      'subject: a character that PrintableString lacks',
    ),
    'attribute-twice.csr.der': malformed(
      csrOf({ attributes: der(constructed(0), challenge, challenge) }),
      'attributes: 1.2.840.113549.1.9.7 occurs twice',
    ),
    'two-challenge-passwords.csr.der': malformed(
      withAttribute(sequence(oid('1.2.840.113549.1.9.7'), der(TAG.SET, printable('a'), printable('b')))),
      'attribute 1.2.840.113549.1.9.7: 3 trailing bytes',
    ),
    'deep-nesting.csr.der': malformed(
      withAttribute(unknown(deeplyNested(40))),
      'attribute 1.2.3.4: nested deeper than 16',
    ),
    'ber-boolean.csr.der': malformed(
      withAttribute(unknown(der(TAG.BOOLEAN, Uint8Array.of(1)))),
      'attribute 1.2.3.4: a BOOLEAN that is not 00 or FF',
    ),
    'long-tag.csr.der': malformed(
      withAttribute(unknown(Uint8Array.of(0x1f, 0x81, 0x01, 0x00))),
      'attribute 1.2.3.4: a tag of several bytes',
    ),
    'too-large.csr.der': {
      der: tooLarge,
      code: 'too-large',
      message: `CSR: ${tooLarge.length} bytes, at most 32768 are read`,
    },
    'p521-key.csr.der': {
      der: csrOf({ key: ecKey('P-521') }),
      code: 'unsupported-key',
      message: 'subjectPublicKeyInfo: curve P-521 is not supported',
    },
    'secp256k1-key.csr.der': {
      der: csrOf({ key: ecKey('secp256k1') }),
      code: 'unsupported-key',
      message: 'subjectPublicKeyInfo: curve secp256k1 is not supported',
    },
    'explicit-curve.csr.der': {
      der: csrOf({
        spki: sequence(
          sequence(oid('1.2.840.10045.2.1'), sequence(smallInteger(1))),
          bitString(new Uint8Array(65)),
        ),
      }),
      code: 'unsupported-key',
      message: 'subjectPublicKeyInfo: an elliptic curve that is not named (RFC 5480 §2.1.1)',
    },
    'compressed-point.csr.der': {
      der: csrOf({ spki: sequence(p256Algorithm, bitString(Uint8Array.of(2), new Uint8Array(32))) }),
      code: 'unsupported-key',
      message: 'subjectPublicKeyInfo: a P-256 point that is not in uncompressed form',
    },
    'point-off-curve.csr.der': {
      der: csrOf({ spki: sequence(p256Algorithm, bitString(Uint8Array.of(4), new Uint8Array(64).fill(1))) }),
      code: 'unsupported-key',
      message: 'subjectPublicKeyInfo: a key that cannot be loaded',
    },
    'x25519-key.csr.der': {
      der: csrOf({ spki: sequence(sequence(oid('1.3.101.110')), bitString(new Uint8Array(32))) }),
      code: 'unsupported-key',
      message: 'subjectPublicKeyInfo: X25519 is not supported',
    },
    'short-rsa-key.csr.der': {
      der: csrOf({ key: rsaKey(1024), algorithm: RSA_SHA256 }),
      code: 'weak-key',
      message: 'key: RSA of 1024 bits, at least 2048 are needed',
    },
    'rsa-exponent-3.csr.der': {
      der: csrOf({ key: rsaKey(2048, 3), algorithm: RSA_SHA256 }),
      code: 'weak-key',
      message: 'key: an RSA exponent of 3, at least 65537 is needed',
    },
    'sha1-signature.csr.der': {
      der: csrOf({ algorithm: sequence(oid('1.2.840.10045.4.1')) }),
      code: 'unsupported-algorithm',
      message: 'signatureAlgorithm: 1.2.840.10045.4.1 is not supported',
    },
    'rsa-algorithm-with-ec-key.csr.der': {
      der: csrOf({ algorithm: RSA_SHA256 }),
      code: 'unsupported-algorithm',
      message: 'signatureAlgorithm: sha256WithRSAEncryption with a P-256 key',
    },
    'other-ecdsa-parameters.csr.der': malformed(
      csrOf({ algorithm: sequence(oid('1.2.840.10045.4.3.2'), oid('1.2.840.10045.3.1.7')) }),
      'parameters of the signature algorithm: tag 0x05 expected, found 0x06',
    ),
    'foreign-signature.csr.der': {
      der: csrOf({ spki: exportSpki(generateKeyPair('P-256').publicKey) }),
      code: 'bad-signature',
      message: 'signature: the CSR is not signed with the key that it carries',
    },
    'flipped-signature.csr.der': {
      der: replaced(good, good.length - 1, (good.at(-1) as number) ^ 1),
      code: 'bad-signature',
      message: 'signature: the CSR is not signed with the key that it carries',
    },
  };
}
