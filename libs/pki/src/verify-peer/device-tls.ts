import { constants } from 'node:crypto';
import type { Server, TlsOptions } from 'node:tls';

/** PEM of a server's certificate with its chain, and of its private key. */
export type ServerIdentity = { readonly cert: string | Buffer; readonly key: string | Buffer };

/** Forward secrecy and authenticated encryption only (RFC 9325 §4.2). The first three are of TLS 1.3. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** What must be said again whenever the certificate is replaced, or Node forgets it. */
function contextOptions({ cert, key }: ServerIdentity) {
  return {
    cert,
    key,
    // An empty list, not a missing one: a missing one loads the roots that Node is bundled with. Empty, no CA names
    // are sent and OpenSSL finds no chain, which nobody asks it for.
    ca: [] as string[],
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    ecdhCurve: 'P-256:X25519:P-384',
    honorCipherOrder: true,
    // Neither tickets, nor (with no session store) any other resumption, nor renegotiation: each handshake shows
    // the certificate that it is judged by.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  } as const satisfies TlsOptions;
}

/**
 * TLS options of every listener for devices. A client certificate is asked for and not judged: that is
 * `verifyPeer`'s part, at `secureConnection`, before anything is read.
 */
export function deviceTlsOptions(identity: ServerIdentity) {
  return {
    ...contextOptions(identity),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: 20_000,
  } as const satisfies TlsOptions;
}

/** Puts a new certificate into a running server; new connections get it, the rest of `deviceTlsOptions` stays. */
export function reloadTls(server: Pick<Server, 'setSecureContext'>, identity: ServerIdentity): void {
  server.setSecureContext(contextOptions(identity));
}
