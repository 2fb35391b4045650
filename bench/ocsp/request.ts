import { createHash } from 'node:crypto';
import { type Certificate, parseKey } from '@signet/pki';

const element = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag, content.length), content]);
};

/** An OCSP request about one certificate, without a nonce, as clients of RFC 5019 make it. */
export function requestFor(issuer: Certificate, serialNumber: string): Uint8Array {
  const sha1 = (data: Uint8Array) => createHash('sha1').update(data).digest();
  const certId = element(
    0x30,
    element(0x30, Buffer.from('06052b0e03021a0500', 'hex')),
    element(0x04, sha1(issuer.subjectDer)),
    element(0x04, sha1(parseKey(issuer.spkiDer).bits)),
    element(0x02, Buffer.from(serialNumber, 'hex')),
  );
  return element(0x30, element(0x30, element(0x30, element(0x30, certId))));
}
