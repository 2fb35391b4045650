import { encodeCertsOnly } from '@signet/pki';
import type { KeyEnrolled } from '../../domain/server-keygen/server-keygen.ts';
import type { Answer } from './answer.ts';
import { base64Body } from './base64-body.ts';

/** No line of base64 looks like it. */
const BOUNDARY = 'signet-est-key-and-certificate';

/** Key and certificate as `multipart/mixed` (RFC 7030 §4.4.2). The octets of the key are wiped once they are written. */
export function keygenAnswer(
  { key, der: leaf, profile }: KeyEnrolled,
  userAgent: string | undefined,
): Answer {
  const wrap = (der: Uint8Array) => base64Body(der, profile.responseWrapping, userAgent);
  const certificate = encodeCertsOnly([leaf]);
  const keyType = key.enveloped
    ? 'application/pkcs7-mime; smime-type=server-generated-key'
    : 'application/pkcs8';
  const parts = [
    part(keyType, wrap(key.der)),
    part('application/pkcs7-mime; smime-type=certs-only', wrap(certificate)),
  ];
  key.der.fill(0);
  return {
    status: 200,
    headers: {
      'Content-Type': `multipart/mixed; boundary=${BOUNDARY}`,
      'Cache-Control': 'no-store',
      Pragma: 'no-cache',
    },
    body: `${parts.join('')}--${BOUNDARY}--\r\n`,
  };
}

function part(type: string, body: string): string {
  const end = body.endsWith('\n') ? '' : '\r\n';
  return `--${BOUNDARY}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: base64\r\n\r\n${body.replaceAll('\n', '\r\n')}${end}`;
}
