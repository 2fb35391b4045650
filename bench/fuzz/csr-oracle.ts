import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { type Csr, checkKey, PkiError, parseCsr, verifyCsr } from '@signet/pki';
import { Finding } from './finding.ts';

/** Longest that a request of at most 32 KiB may keep us, in ms; generous, for a busy machine. */
const HANG_MS = 2000;

/**
 * Reads and verifies a request as the enrol path does. Whatever we accept, the oracle has to read as well, find signed
 * by the same key, and see the same names in.
 * @returns the request, or undefined where it is refused
 * @throws Finding
 */
export async function acceptedByUs(der: Uint8Array): Promise<Csr | undefined> {
  const start = performance.now();
  const csr = read(der);
  if (performance.now() - start > HANG_MS) throw new Finding(`read for ${performance.now() - start} ms`);
  if (csr === undefined) return undefined;
  let oracle: Pkcs10CertificateRequest;
  try {
    oracle = new Pkcs10CertificateRequest(Buffer.from(der));
  } catch (cause) {
    throw new Finding('we accept what the oracle cannot read', { cause });
  }
  if (Buffer.compare(Buffer.from(oracle.publicKey.rawData), csr.spkiDer) !== 0)
    throw new Finding('the oracle reads another key');
  if (Buffer.compare(Buffer.from(oracle.subjectName.toArrayBuffer()), csr.subjectDer) !== 0)
    throw new Finding('the oracle reads another Subject');
  const verified = await oracle.verify().catch((cause: unknown) => {
    throw new Finding('the oracle cannot verify what we accept', { cause });
  });
  if (!verified) throw new Finding('we accept a signature that the oracle refuses');
  return csr;
}

function read(der: Uint8Array): Csr | undefined {
  try {
    const csr = parseCsr(der);
    checkKey(csr.key);
    verifyCsr(csr);
    return csr;
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw new Finding('reading ended in something else than a PkiError', { cause: error });
  }
}
