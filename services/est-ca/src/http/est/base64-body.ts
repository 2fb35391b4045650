/** How base64 answers are broken into lines. */
export type Wrapping = 'auto' | 'wrapped' | 'unwrapped';

/**
 * Base64 of an answer: lines of 64 and LF, since libest takes no unbroken cacerts; one line, without a line end,
 * where the request names no User-Agent, since strongSwan sends none and takes no broken ones (RFC 8951 §3.1).
 */
export function base64Body(der: Uint8Array, wrapping: Wrapping, userAgent: string | undefined): string {
  const text = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  const wrapped = wrapping === 'auto' ? userAgent !== undefined && userAgent !== '' : wrapping === 'wrapped';
  return wrapped ? text.replace(/.{1,64}/g, '$&\n') : text;
}
