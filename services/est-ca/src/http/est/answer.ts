import type { ServerResponse } from 'node:http';

/** An answer of the EST listener; the body is text of one octet for each character. */
export type Answer = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/**
 * Sends an answer as EST clients need it: header names in their usual case, Content-Length always, headers and body
 * in one write. Small clients read the first packet only, or compare header names by octets.
 */
export function send(response: ServerResponse, { status, headers, body = '' }: Answer): void {
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  response.end(body, 'latin1');
}

/** A short text that names a reason. */
export function text(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const ascii = message.replace(/[^\x20-\x7e]/g, '?');
  return {
    status,
    headers: { ...headers, 'Content-Type': 'text/plain; charset=us-ascii' },
    body: `${ascii}\n`,
  };
}
