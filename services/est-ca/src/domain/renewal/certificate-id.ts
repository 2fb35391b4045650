/** A certificate by issuer and serial number, both lower-case hex. */
export type CertificateId = { readonly issuerKeyId: string; readonly serialNumber: string };

const BASE64URL = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The certificate that a path segment names: authority key id and serial number, each in base64url without padding, with
 * a dot in between (RFC 9773 §4.1). Undefined where it names none.
 */
export function parseCertificateId(text: string): CertificateId | undefined {
  const [keyId = '', serial = '', ...rest] = text.split('.');
  if (rest.length > 0 || !BASE64URL.test(keyId) || !BASE64URL.test(serial)) return undefined;
  const serialNumber = hex(serial).replace(/^(00)+(?=.)/, '');
  return { issuerKeyId: hex(keyId), serialNumber };
}

/** The inverse of {@link parseCertificateId}. */
export function formatCertificateId({ issuerKeyId, serialNumber }: CertificateId): string {
  const serial = Number.parseInt(serialNumber.slice(0, 2), 16) >= 0x80 ? `00${serialNumber}` : serialNumber;
  return `${base64url(issuerKeyId)}.${base64url(serial)}`;
}

const hex = (text: string): string => Buffer.from(text, 'base64url').toString('hex');
const base64url = (text: string): string => Buffer.from(text, 'hex').toString('base64url');
