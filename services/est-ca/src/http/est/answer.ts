import type { FastifyReply } from 'fastify';

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
export function send(reply: FastifyReply, answer: Answer): void {
  const body = Buffer.from(answer.body ?? '', 'latin1').toString('latin1');
  reply.hijack();
  reply.raw.writeHead(answer.status, { ...answer.headers, 'Content-Length': String(body.length) });
  reply.raw.end(body, 'latin1');
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
