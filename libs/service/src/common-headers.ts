import type { Server } from 'node:http';

/**
 * On every answer of every HTTP listener, errors included; a route that says otherwise overrides. Names are in their
 * usual case, for small clients that compare them by bytes. What is sent is for
 * programs: nothing in it is to be kept, sniffed, framed or run. No Strict-Transport-Security: it would be for the
 * whole host name, and CRLs and OCSP are served there in the clear (RFC 5280 §8).
 */
export const commonHeaders = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
} as const;

const headers = Object.entries(commonHeaders);

/** Puts them on every answer before anybody else sees the request. */
export function sendCommonHeaders(server: Server): void {
  server.prependListener('request', (_request, response) => {
    for (const [name, value] of headers) response.setHeader(name, value);
  });
}
