import { Agent, type RequestOptions, request } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';

/** One enrolment, prepared: everything but the request itself. */
export type Enrolment = {
  readonly deviceId: string;
  readonly csr: string;
  readonly grant: string;
  /** TLS context with the bootstrap certificate that the grant is for. */
  readonly context: SecureContext;
};

export type Target = { readonly port: number; readonly anchors: string };

export type Reply = { readonly status: number; readonly body: string };

/** @returns the answer's body in base64 @throws where the answer is no 200 */
export async function post(target: Target, enrolment: Enrolment, agent: Agent | false): Promise<string> {
  const { status, body } = await send(target, enrolment, agent);
  if (status !== 200) throw new Error(`${status}: ${body}`);
  return body;
}

/** Sends one enrolment. */
export function send(target: Target, enrolment: Enrolment, agent: Agent | false): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const options: RequestOptions & { readonly secureContext: SecureContext } = {
    host: '127.0.0.1',
    port: target.port,
    method: 'POST',
    path: '/.well-known/est/simpleenroll',
    agent,
    secureContext: enrolment.context,
    auth: `${enrolment.deviceId}:${enrolment.grant}`,
    headers: {
      'Content-Type': 'application/pkcs10',
      'Content-Length': enrolment.csr.length,
      'User-Agent': 'bench',
      ...(agent === false ? { Connection: 'close' } : {}),
    },
  };
  const outgoing = request(options, (response) => {
    let body = '';
    response.setEncoding('latin1');
    response.on('data', (chunk: string) => {
      body += chunk;
    });
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
  });
  outgoing.on('error', reject);
  outgoing.end(enrolment.csr);
  return promise;
}

/** A TLS context that trusts these roots, and shows this certificate if one is given. */
export function contextOf(
  certificate: string | undefined,
  key: string | undefined,
  anchors: string,
): SecureContext {
  return createSecureContext({ cert: certificate, key, ca: anchors });
}

/** As many connections as work is done at a time, each kept. */
export function keptConnections(count: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: count, scheduling: 'fifo' });
}

/** Runs `work` on all items, so many at a time. */
export async function each<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const lanes = Array.from({ length: width }, async () => {
    for (const item of queue) await work(item);
  });
  await Promise.all(lanes);
}
