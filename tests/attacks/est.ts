import type { KeyObject } from 'node:crypto';
import { request } from 'node:https';
import { createCsr, decodeCertsOnly, encodePem, type Name } from '@signet/pki';
import type { Target } from './attack.ts';

export type EstAnswer = { readonly status: number; readonly body: string };

/** What an attacker asks of EST, below `/.well-known/est/`. */
export type EstAsk = {
  readonly path: string;
  readonly key: KeyObject;
  readonly subject?: Name;
  readonly basic?: readonly [username: string, password: string];
  /** Certificate and key of the connection, PEM. */
  readonly identity?: { readonly cert: string; readonly key: string };
};

/** One CSR over a connection of its own. */
export function askEst(target: Target, ask: EstAsk): Promise<EstAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<EstAnswer>();
  const csr = createCsr({
    privateKey: ask.key,
    ...(ask.subject === undefined ? {} : { subject: ask.subject }),
  });
  const outgoing = request(
    {
      ...{ host: 'localhost', port: target.ports.est, path: `/.well-known/est/${ask.path}`, method: 'POST' },
      ...{ ca: target.roots, agent: false, headers: { 'content-type': 'application/pkcs10' } },
      ...(ask.basic === undefined ? {} : { auth: ask.basic.join(':') }),
      ...ask.identity,
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    },
  );
  outgoing.on('error', reject);
  outgoing.end(Buffer.from(csr).toString('base64'));
  return promise;
}

/** The certificate of an answer, PEM. */
export function certificateIn({ status, body }: EstAnswer): string {
  const [der] = status === 200 ? decodeCertsOnly(new Uint8Array(Buffer.from(body, 'base64'))) : [];
  if (der === undefined) throw new Error(`EST: ${status} ${body}`);
  return encodePem('CERTIFICATE', der);
}
