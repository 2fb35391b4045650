import type { KeyObject } from 'node:crypto';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { octetString, owned, sequence, smallInteger } from './der/writer.ts';

/**
 * PKCS#8 of a private key, DER. OpenSSL leaves the curve out of the ECPrivateKey inside, where PKCS#8 says it already;
 * RFC 5915 §3 wants it there too, and some devices read nothing else.
 */
export function encodePrivateKey(key: KeyObject): Uint8Array {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  if (key.asymmetricKeyType !== 'ec') return owned(pkcs8);
  const field = 'private key';
  const whole = DerReader.sequence(pkcs8, field);
  whole.content(TAG.INTEGER, field);
  const algorithm = whole.any(field);
  const sec1 = key.export({ type: 'sec1', format: 'der' });
  const encoded = owned(sequence(smallInteger(0), algorithm, octetString(sec1)));
  sec1.fill(0);
  pkcs8.fill(0);
  return encoded;
}
