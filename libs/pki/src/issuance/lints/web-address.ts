const address = /^http:\/\/[^/?#@\s]+(\/[^#\s]*)?$/;

/**
 * Why a URI in a certificate leads nowhere: it must be absolute, plain HTTP (whoever checks a certificate would need
 * another check to fetch what it needs over HTTPS, RFC 5280 §8), and without credentials or fragment.
 */
export function flawOfAddress(uri: string): string | undefined {
  return address.test(uri) ? undefined : `"${uri}" is not an absolute http URL`;
}
