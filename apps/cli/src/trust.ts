import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import { decodePemBlocks, parseCertificate } from '@signet/pki';
import { CliError } from './cli-error.ts';

/**
 * From now on servers of this process must chain to the certificates of a file, and to no others.
 * @throws CliError where the file has none
 */
export async function trustOnly(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CliError(`--ca ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  const roots = certificatesIn(file, text);
  if (typeof tls.setDefaultCACertificates !== 'function')
    throw new CliError(`--ca: needs Node 24.5; set NODE_EXTRA_CA_CERTS=${file} instead`);
  tls.setDefaultCACertificates(roots);
}

function certificatesIn(file: string, text: string): string[] {
  try {
    const roots = decodePemBlocks(text).map(({ der }) => parseCertificate(der).pem());
    if (roots.length > 0) return roots;
  } catch (cause) {
    throw new CliError(`--ca ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  throw new CliError(`--ca ${file}: no certificate in PEM`);
}
