import { readFile } from 'node:fs/promises';
import { readFingerprint } from '@signet/contracts';
import { decodePemBlocks, parseCertificate } from '@signet/pki';
import { CliError } from './cli-error.ts';

/**
 * The fingerprint of a bootstrap certificate: given in hex, also as openssl prints it, or by the file that the
 * certificate is in. `undefined` for what is neither.
 * @throws CliError where the file has no certificate
 */
export async function fingerprintOf(given: string): Promise<string | undefined> {
  const hex = readFingerprint(given);
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  let text: string;
  try {
    text = await readFile(given, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENAMETOOLONG') return undefined;
    throw new CliError(`${given}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  // the first one: what follows are its issuers
  const [first] = decodePemBlocks(text);
  if (first?.label !== 'CERTIFICATE') throw new CliError(`${given}: no certificate in PEM`);
  return parseCertificate(first.der).fingerprint;
}

/** @throws CliError where it is neither a fingerprint nor a file */
export async function requireFingerprint(given: string): Promise<string> {
  const fingerprint = await fingerprintOf(given);
  if (fingerprint === undefined)
    throw new CliError(`${given}: not a fingerprint (64 hex digits) and not a certificate file`);
  return fingerprint;
}
