import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Received = {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly message: {
    readonly type: string;
    readonly data: Record<string, unknown> & { readonly deviceId: string };
  };
};

/** An owner's back end that answers as told, and keeps what it was asked. */
export type BackEnd = AsyncDisposable & {
  readonly url: string;
  readonly received: Received[];
  answer: (response: ServerResponse, received: Received) => void;
};

export const json = (value: unknown) => (response: ServerResponse) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
};

export async function startBackEnd(): Promise<BackEnd> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const received = { headers: request.headers, body, message: JSON.parse(body) as Received['message'] };
    backEnd.received.push(received);
    backEnd.answer(response, received);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backEnd: BackEnd = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/enrolments`,
    received: [],
    answer: json({ allow: true }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return backEnd;
}

/** Verifies as Standard Webhooks says, written a second time. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return headers['webhook-signature'] === `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}
