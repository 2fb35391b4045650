import { get, type IncomingMessage } from 'node:http';
import {
  type Certificate,
  type Crl,
  decodePem,
  encodePem,
  PkiError,
  parseCrl,
  verifyCrlSignature,
} from '@signet/pki';
import { AgentError } from '../agent-error.ts';

/** A CRL that may be used. */
export type KeptCrl = {
  readonly pem: string;
  /** Decimal; empty where it has none. */
  readonly number: string;
  /** Unix milliseconds, as is `nextUpdate`. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
};

const TIMEOUT_MS = 30_000;
/** More than a device should keep: a CA with so many revoked certificates partitions its CRL. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Follows the CRL that a certificate names (RFC 5280 §4.2.1.13), over plain HTTP: it is believed for its signature, its
 * number that never falls, and its dates.
 */
export class CrlFollower {
  #url = '';
  #etag: string | undefined;

  /**
   * Asks whether there is a newer one than `known`; undefined where there is none, or none is published.
   * @throws AgentError `unreachable`, `refused`; `bad-answer` where it is not to be believed
   */
  async newer(
    certificate: Certificate,
    issuer: Certificate,
    known: KeptCrl | undefined,
    options: { readonly now: number; readonly signal?: AbortSignal | undefined },
  ): Promise<KeptCrl | undefined> {
    const url = certificate.crlUrls.find((candidate) => candidate.startsWith('http://'));
    if (url === undefined) return undefined;
    if (url !== this.#url || known === undefined) this.#etag = undefined;
    this.#url = url;
    const answer = await fetchCrl(url, this.#etag, options.signal);
    if (answer === undefined) return undefined;
    const crl = checkedCrl(answer.body, issuer, known, options.now);
    this.#etag = answer.etag;
    return crl.pem === known?.pem ? undefined : crl;
  }
}

/** A CRL that was kept, if it is the issuer's. */
export function keptCrl(pem: string | undefined, issuer: Certificate): KeptCrl | undefined {
  if (pem === undefined) return undefined;
  try {
    return checkedCrl(decodePem(pem, 'X509 CRL'), issuer, undefined, Number.NEGATIVE_INFINITY);
  } catch {
    return undefined;
  }
}

/** @throws AgentError `bad-answer` */
function checkedCrl(der: Uint8Array, issuer: Certificate, known: KeptCrl | undefined, now: number): KeptCrl {
  const crl = parsed(der);
  if (!verifyCrlSignature(crl, issuer)) throw bad('it is not signed by the issuer of the certificate');
  if (crl.baseNumber !== undefined) throw bad('it is a delta');
  if (crl.unknownCritical.length > 0) throw bad(`unknown critical extension ${crl.unknownCritical[0]}`);
  const { number, thisUpdate, nextUpdate } = crl;
  if (nextUpdate !== undefined && nextUpdate <= now)
    throw bad(`it ended on ${new Date(nextUpdate).toISOString()}`);
  if (known !== undefined && isOlder(crl, known)) {
    if (number === undefined || known.number === '')
      throw bad(`it is of ${new Date(thisUpdate).toISOString()}, older than the one that is known`);
    throw bad(`its number ${number} is below ${known.number}, which is known`);
  }
  return { pem: encodePem('X509 CRL', der), number: String(crl.number ?? ''), thisUpdate, nextUpdate };
}

/** By number, and by time where one of the two has no number. */
export function isOlder(
  { number, thisUpdate }: { readonly number?: bigint | undefined; readonly thisUpdate: number },
  known: KeptCrl,
): boolean {
  if (number === undefined || known.number === '') return thisUpdate < known.thisUpdate;
  return number < BigInt(known.number);
}

function parsed(der: Uint8Array): Crl {
  try {
    return parseCrl(der);
  } catch (cause) {
    if (cause instanceof PkiError) throw bad(cause.message, cause);
    throw cause;
  }
}

function bad(reason: string, cause?: unknown): AgentError {
  return new AgentError('bad-answer', `CRL: ${reason}`, { cause });
}

/** Undefined where it is still the one of `etag`. */
async function fetchCrl(
  url: string,
  etag: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ readonly body: Buffer; readonly etag: string | undefined } | undefined> {
  const late = AbortSignal.timeout(TIMEOUT_MS);
  const headers = { 'user-agent': 'signet-agent', ...(etag === undefined ? {} : { 'if-none-match': etag }) };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { headers, signal: signal === undefined ? late : AbortSignal.any([signal, late]) };
  get(url, options, resolve).on('error', reject);
  try {
    const answer = await promise;
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BYTES) throw bad(`larger than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    if (answer.statusCode === 304) return undefined;
    if (answer.statusCode !== 200)
      throw new AgentError('refused', `CRL: ${url}: ${answer.statusCode}`, {
        status: answer.statusCode ?? 0,
      });
    return { body: Buffer.concat(chunks), etag: answer.headers.etag };
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    const reason = late.aborted ? `no answer within ${TIMEOUT_MS} ms` : (cause as Error).message;
    throw new AgentError('unreachable', `CRL: ${url}: ${reason}`, { cause });
  }
}
