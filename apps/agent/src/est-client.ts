import { ATTESTATION_ATTRIBUTE, encodeBundle } from '@signet/attestation';
import { type CsrRequest, createCsrBy, decodeCertsOnly, encodePem, parseCertificate } from '@signet/pki';
import { AgentError } from './agent-error.ts';
import { callHttps, refusalOf } from './https-client.ts';
import { type Identity, leaf } from './identity.ts';
import { attested } from './keys/attestation.ts';
import { DeviceKeys } from './keys/device-keys.ts';

export type EstServer = {
  /** Base URL, without `/.well-known/est`. */
  readonly url: string;
  readonly label: string;
  /** PEM. */
  readonly trust: string;
  readonly signal?: AbortSignal | undefined;
  /** Who holds the device's keys; by default they are at hand. */
  readonly keys?: DeviceKeys | undefined;
};

/** The CA certificates of the account (RFC 7030 §4.1), each in PEM. */
export async function fetchCaCertificates(
  server: EstServer,
  identity?: Identity,
): Promise<readonly string[]> {
  const answer = await callHttps({ ...server, url: endpoint(server, 'cacerts'), identity });
  if (answer.status !== 200) throw refusalOf('cacerts', answer);
  return certificates('cacerts', answer.body).map(pem);
}

/** When the server would have this identity renewed: the text of the document of RFC 9773 §4.2. `retryAfter` in seconds. */
export async function fetchRenewalInfo(
  server: EstServer,
  identity: Identity,
): Promise<{ readonly text: string; readonly retryAfter: number | undefined }> {
  const answer = await callHttps({ ...server, url: endpoint(server, 'renewal-info'), identity });
  if (answer.status !== 200) throw refusalOf('renewal-info', answer);
  return { text: answer.body.toString('utf8'), retryAfter: answer.retryAfter };
}

/** Enrols with a grant (RFC 7030 §4.2.1); the bootstrap identity, if given, opens the TLS connection. */
export async function enroll(
  server: EstServer,
  request: {
    key: string;
    deviceId: string;
    account: string;
    username: string;
    grant: string;
    identity?: Identity;
  },
): Promise<Identity> {
  const subject = { commonName: request.deviceId, organization: request.account };
  const authorization = `Basic ${Buffer.from(`${request.username}:${request.grant}`).toString('base64')}`;
  return post(server, 'simpleenroll', { key: request.key, subject }, request.identity, { authorization });
}

/** Renews with the current certificate (RFC 7030 §4.2.2); its Subject is copied byte for byte. */
export async function reenroll(
  server: EstServer,
  request: { key: string; identity: Identity },
): Promise<Identity> {
  const { subjectDer } = leaf(request.identity);
  return post(server, 'simplereenroll', { key: request.key, subjectDer }, request.identity, {});
}

type Wanted = { readonly key: string } & Pick<CsrRequest, 'subject' | 'subjectDer'>;

async function post(
  server: EstServer,
  operation: 'simpleenroll' | 'simplereenroll',
  { key, ...subject }: Wanted,
  identity: Identity | undefined,
  headers: Record<string, string>,
): Promise<Identity> {
  const keys = server.keys ?? new DeviceKeys();
  const holder = keys.holderOf(key);
  const signer = keys.signer(key);
  const { statement, reason } = await attested(holder, key, (body) =>
    callHttps({
      ...server,
      url: endpoint(server, 'attestation-challenge'),
      method: 'POST',
      identity,
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    }),
  );
  const attributes =
    statement === undefined ? [] : [{ oid: ATTESTATION_ATTRIBUTE, value: encodeBundle(statement) }];
  const csr = await createCsrBy(signer, { ...subject, attributes });
  const answer = await callHttps({
    ...server,
    url: endpoint(server, operation),
    method: 'POST',
    identity,
    headers: { ...headers, 'content-type': 'application/pkcs10', 'content-transfer-encoding': 'base64' },
    body: Buffer.from(csr).toString('base64'),
  });
  if (answer.status !== 200)
    throw refusalOf(reason === undefined ? operation : `${operation} (${reason})`, answer);
  const [certificate] = certificates(operation, answer.body);
  if (certificate === undefined)
    throw new AgentError('bad-answer', `${operation}: the answer holds no certificate`);
  const spki = signer.publicKey.export({ type: 'spki', format: 'der' });
  if (!spki.equals(parseCertificate(certificate).spkiDer)) {
    throw new AgentError('bad-answer', `${operation}: the certificate is for another key`);
  }
  return { key, certificate: pem(certificate), ...(holder === undefined ? {} : { holder }) };
}

function endpoint({ url, label }: EstServer, operation: string): URL {
  return new URL(`/.well-known/est/${label}/${operation}`, url);
}

function certificates(operation: string, body: Buffer): Uint8Array[] {
  try {
    return decodeCertsOnly(Buffer.from(body.toString('ascii'), 'base64'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad-answer', `${operation}: ${reason}`, { cause });
  }
}

function pem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der);
}
