import type { Certificate } from '../certificate.ts';
import { DerReader } from '../der/reader.ts';
import { TAG } from '../der/tags.ts';
import type { Signer } from '../signer/signer.ts';
import { joseAlgorithms } from './jose-algorithm.ts';

/**
 * Signs bytes as a compact JWS (RFC 7515). `type` becomes `typ`, so that what is signed as one thing is never taken
 * for another; `chain` becomes `x5c`: the signer's certificate and its issuers, without the root.
 */
export async function signStatement(
  signer: Signer,
  statement: { readonly type: string; readonly payload: Uint8Array; readonly chain: readonly Certificate[] },
): Promise<string> {
  const { alg, bytes } = joseAlgorithms[signer.algorithm];
  const x5c = statement.chain.map(({ der }) => Buffer.from(der).toString('base64'));
  const header = Buffer.from(JSON.stringify({ alg, typ: statement.type, x5c })).toString('base64url');
  const signed = `${header}.${Buffer.from(statement.payload).toString('base64url')}`;
  const signature = await signer.sign(Buffer.from(signed, 'ascii'));
  const raw = bytes === 0 ? signature : joined(signature, bytes);
  return `${signed}.${Buffer.from(raw).toString('base64url')}`;
}

/** ECDSA of X.509 (RFC 3279 §2.2.3) as JWS has it: r and s, each of the full width (RFC 7518 §3.4). */
function joined(der: Uint8Array, bytes: number): Uint8Array {
  const pair = DerReader.sequence(der, 'signature');
  const halves = ['r', 's'].map((name) => Buffer.from(pair.content(TAG.INTEGER, name)));
  const raw = Buffer.alloc(bytes * 2);
  for (const [i, half] of halves.entries()) {
    const digits = half[0] === 0 ? half.subarray(1) : half;
    raw.set(digits, (i + 1) * bytes - digits.length);
  }
  return raw;
}
