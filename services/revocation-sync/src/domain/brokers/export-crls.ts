import { type Authority, listAuthorities } from '@signet/contracts';
import { encodePem, parseCertificatePem, parseCrl, verifyCrlSignature } from '@signet/pki';
import type { Asks } from '../devices/identify.ts';
import type { Log } from '../documents/documents.ts';

export type ExportContext = Asks & {
  readonly log: Log;
  readonly crlExport: {
    /** The CRL of a CA as `est-ca` serves it, DER. */
    fetchCrl(path: string): Promise<Buffer>;
    /** Replaces the file as a whole, and tells the broker. @returns undefined where the file has this text already */
    replace(text: string): Promise<{ readonly file: string; readonly told: number | undefined } | undefined>;
  };
};

/**
 * Brings the file of the CRLs of all operational CAs up to date, for brokers that are not ours. A CRL that its CA did not
 * sign leaves the file as it is.
 */
export async function exportCrls({ bus, log, crlExport }: ExportContext): Promise<void> {
  const { authorities } = await bus.request(listAuthorities, {});
  const issuing = authorities.filter(({ kind }) => kind === 'issuing');
  const parts: string[] = [];
  for (const authority of issuing) parts.push(await crlOf(authority, crlExport));
  const replaced = await crlExport.replace(parts.join(''));
  if (replaced === undefined) return;
  log.info({ ...replaced, authorities: issuing.length }, 'CRL export: the file was replaced');
}

async function crlOf(
  { authorityId, certificate }: Authority,
  { fetchCrl }: ExportContext['crlExport'],
): Promise<string> {
  const path = `/crl/${encodeURIComponent(authorityId)}.crl`;
  const der = await fetchCrl(path);
  if (!verifyCrlSignature(parseCrl(der), parseCertificatePem(certificate)))
    throw new Error(`${path}: not signed by CA "${authorityId}"`);
  return encodePem('X509 CRL', der);
}
