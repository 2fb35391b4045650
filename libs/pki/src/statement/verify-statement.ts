import { verify } from 'node:crypto';
import { readForeignJson } from '@signet/contracts';
import { type Certificate, parseCertificate } from '../certificate.ts';
import { EKU } from '../extensions.ts';
import { signatureAlgorithmFor } from '../signature-algorithm.ts';
import { isIssuedBy } from './is-issued-by.ts';
import { joseAlgorithms } from './jose-algorithm.ts';

export type StatementFault =
  /** No JWS, or not one of this type. */
  | 'malformed'
  /** The certificates do not lead from the signer to a root that is trusted. */
  | 'untrusted'
  /** A certificate of the chain is not in time. */
  | 'not-in-time'
  /** The signer's certificate is another's, or not for this. */
  | 'wrong-signer'
  | 'bad-signature';

/** Why a statement is not believed. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
  readonly code: StatementFault;

  constructor(code: StatementFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const LONGEST_CHAIN = 6;

export type StatementTrust = {
  /** `typ` that the header must have. */
  readonly type: string;
  readonly anchors: readonly Certificate[];
  /** Whether this SPIFFE id, and the certificate that has it, is of whom the statement may be. */
  readonly isSigner: (uri: string, certificate: Certificate) => boolean;
  /** Unix milliseconds; absent where the device has no clock that it can trust: times are not looked at. */
  readonly now?: number | undefined;
};

/**
 * The payload of a statement that `signStatement` made, if a trusted root vouches for its signer.
 * @throws StatementError
 */
export function verifyStatement(jws: string, trust: StatementTrust): Uint8Array {
  const [head = '', body = '', tail = '', ...rest] = jws.split('.');
  if (rest.length > 0) throw new StatementError('malformed', 'statement: no compact JWS');
  const { alg, chain } = headerOf(head, trust.type);
  const [leaf] = chain;
  if (leaf === undefined) throw new StatementError('malformed', 'x5c: no certificate');
  checkChain(chain, trust);
  checkSigner(leaf, trust);
  const algorithm = joseAlgorithms[signatureAlgorithmFor(leaf.publicKey)];
  if (algorithm.alg !== alg)
    throw new StatementError('bad-signature', `alg: "${alg}" is not that of the key`);
  const isSigned = verify(
    algorithm.hash,
    Buffer.from(`${head}.${body}`, 'ascii'),
    { key: leaf.publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(tail, 'base64url'),
  );
  if (!isSigned) throw new StatementError('bad-signature', 'signature: not over this statement');
  return Buffer.from(body, 'base64url');
}

function headerOf(head: string, type: string): { alg: string; chain: readonly Certificate[] } {
  try {
    const { alg, typ, x5c, crit } = readForeignJson(Buffer.from(head, 'base64url'), 'header') as Header;
    if (typ !== type) throw new StatementError('malformed', `typ: "${String(typ)}" is not "${type}"`);
    if (crit !== undefined) throw new StatementError('malformed', 'crit: not understood');
    if (!Array.isArray(x5c) || x5c.length > LONGEST_CHAIN)
      throw new StatementError('malformed', 'x5c: no chain of certificates');
    const chain = x5c.map((text) => parseCertificate(Buffer.from(String(text), 'base64')));
    return { alg: String(alg), chain };
  } catch (cause) {
    if (cause instanceof StatementError) throw cause;
    throw new StatementError('malformed', 'header: cannot be read', { cause });
  }
}

type Header = {
  readonly alg?: unknown;
  readonly typ?: unknown;
  readonly x5c?: unknown;
  readonly crit?: unknown;
};

/** RFC 5280 §6, as far as a chain of our own has it: each signed by the next, the last by a trusted root. */
function checkChain(chain: readonly Certificate[], { anchors, now }: StatementTrust): void {
  for (const [i, certificate] of chain.entries()) {
    const above = chain[i + 1];
    const issuers = above === undefined ? anchors : [above];
    if (!issuers.some((issuer) => isIssuedBy(certificate, issuer, i)))
      throw new StatementError('untrusted', `x5c: nobody that is trusted vouches for certificate ${i + 1}`);
    if (now !== undefined && (now < certificate.notBefore || now > certificate.notAfter))
      throw new StatementError('not-in-time', `x5c: certificate ${i + 1} is not in time`);
  }
}

function checkSigner(leaf: Certificate, { isSigner }: StatementTrust): void {
  const [uri = '', ...others] = leaf.sans.uris;
  const isFit =
    leaf.basicConstraints?.ca !== true &&
    leaf.keyUsage?.has('digitalSignature') === true &&
    leaf.extKeyUsage?.join() === EKU.documentSigning &&
    leaf.unknownCritical.length === 0;
  if (!isFit) throw new StatementError('wrong-signer', 'x5c: the certificate is not for statements');
  if (others.length > 0 || !isSigner(uri, leaf))
    throw new StatementError('wrong-signer', `x5c: "${uri}" may not say this`);
}
