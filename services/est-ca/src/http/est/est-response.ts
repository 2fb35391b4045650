import type { ServerResponse } from 'node:http';

/** A response of the EST listener; the body is text of one byte for each character. */
export type EstResponse = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/**
 * Sends a response as EST clients need it: header names in their usual case, Content-Length always, headers and body
 * in one write. Small clients read the first packet only, or compare header names byte by byte.
 */
export function send(response: ServerResponse, { status, headers, body = '' }: EstResponse): void {
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  response.end(body, 'latin1');
}

/** A short text that names a reason. */
export function text(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): EstResponse {
  const ascii = message.replace(/[^\x20-\x7e]/g, '?');
  return {
    status,
    headers: { ...headers, 'Content-Type': 'text/plain; charset=us-ascii' },
    body: `${ascii}\n`,
  };
}

/** How base64 bodies are broken into lines. */
export type Wrapping = 'auto' | 'wrapped' | 'unwrapped';

/**
 * Base64 of a body: lines of 64 and LF, since libest takes no unbroken cacerts; one line, without a line end,
 * where the request names no User-Agent, since strongSwan sends none and takes no broken ones (RFC 8951 §3.1).
 */
export function base64Body(der: Uint8Array, wrapping: Wrapping, userAgent: string | undefined): string {
  const text = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  const wrapped = wrapping === 'auto' ? userAgent !== undefined && userAgent !== '' : wrapping === 'wrapped';
  return wrapped ? text.replace(/.{1,64}/g, '$&\n') : text;
}

/** A request that is wrong as HTTP, before anything is read from it. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly status: 400 | 404 | 405 | 413 | 415;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: WireError['status'], message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}
