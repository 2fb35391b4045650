import { PkiError } from './pki-error.ts';

const alphabet = /^[A-Za-z0-9+/]*={0,2}$/;

/** Decodes base64 of the standard alphabet; line breaks and blanks may stand anywhere, padding must be right. */
export function decodeBase64(text: string, field = 'base64'): Uint8Array {
  const dense = text.replace(/[ \t\r\n]+/g, '');
  if (dense.length % 4 !== 0 || !alphabet.test(dense))
    throw new PkiError('bad-base64', `${field}: not base64`);
  const bytes = Buffer.from(dense, 'base64');
  if (bytes.toString('base64') !== dense)
    throw new PkiError('bad-base64', `${field}: base64 with stray bits at its end`);
  return new Uint8Array(bytes);
}

/** PEM text (RFC 7468 §3): 64 columns, LF, a line break at the end. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der.buffer, der.byteOffset, der.length)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([^-]*)-----END ([A-Z0-9 ]+)-----/g;

/** All blocks of PEM text in order; text between them is passed over. */
export function decodePemBlocks(
  text: string,
): readonly { readonly label: string; readonly der: Uint8Array }[] {
  return [...text.matchAll(block)].map(([, label = '', body = '', end]) => {
    if (label !== end) throw new PkiError('bad-pem', `PEM: "BEGIN ${label}" ends in "END ${end}"`);
    return { label, der: decodeBase64(body, `PEM ${label}`) };
  });
}

/** The DER in PEM text that holds exactly one block, whose label must be one of `labels`. */
export function decodePem(text: string, ...labels: readonly string[]): Uint8Array {
  const blocks = decodePemBlocks(text);
  const [only] = blocks;
  if (only === undefined) throw new PkiError('bad-pem', `PEM: no block; expected ${labels.join(' or ')}`);
  if (blocks.length > 1) throw new PkiError('bad-pem', `PEM: ${blocks.length} blocks where one was expected`);
  if (!labels.includes(only.label))
    throw new PkiError('bad-pem', `PEM: expected ${labels.join(' or ')}, found ${only.label}`);
  return only.der;
}
