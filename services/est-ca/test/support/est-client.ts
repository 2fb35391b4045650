import type { KeyObject } from 'node:crypto';
import { request } from 'node:https';
import { type CsrRequest, createCsr, decodeCertsOnly, parseCertificate } from '@signet/pki';

/** What a client has to know of a service. */
export type EstPeer = { readonly anchors: string; readonly service: { readonly estPort: number } };

export type EstReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Names and values as they came, in turn. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
};

export type EstCall = {
  readonly path: string;
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly basic?: readonly [username: string, password: string];
  /** Client certificate and key. */
  readonly identity?: { readonly certificate: string; readonly privateKey: KeyObject };
};

/** One HTTPS request on a connection of its own, the server's certificate verified against the platform's roots. */
export function call(est: EstPeer, options: EstCall, port = est.service.estPort): Promise<EstReply> {
  const { promise, resolve, reject } = Promise.withResolvers<EstReply>();
  const { identity, basic } = options;
  const outgoing = request(
    {
      host: '127.0.0.1',
      port,
      path: options.path,
      method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
      ca: est.anchors,
      agent: false,
      headers: { 'User-Agent': 'test', ...options.headers },
      ...(basic === undefined ? {} : { auth: basic.join(':') }),
      ...(identity === undefined
        ? {}
        : { cert: identity.certificate, key: identity.privateKey.export({ type: 'pkcs8', format: 'pem' }) }),
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks).toString('latin1'),
        }),
      );
    },
  );
  outgoing.on('error', reject);
  outgoing.end(options.body);
  return promise;
}

/** An enrolment request with a CSR made as given. */
export function enrolment(
  csr: CsrRequest | Uint8Array,
  options: Omit<EstCall, 'body' | 'path'> & { readonly path?: string } = {},
): EstCall {
  const der = csr instanceof Uint8Array ? csr : createCsr(csr);
  return {
    path: '/.well-known/est/simpleenroll',
    ...options,
    body: Buffer.from(der).toString('base64'),
    headers: { 'Content-Type': 'application/pkcs10', ...options.headers },
  };
}

/** The one certificate of an enrolment's answer. */
export function issuedIn(reply: EstReply) {
  if (reply.status !== 200) throw new Error(`status ${reply.status}: ${reply.body}`);
  const [der, ...more] = decodeCertsOnly(new Uint8Array(Buffer.from(reply.body, 'base64')));
  if (der === undefined || more.length > 0)
    throw new Error(`${more.length + 1} certificates where one was expected`);
  return parseCertificate(der);
}
