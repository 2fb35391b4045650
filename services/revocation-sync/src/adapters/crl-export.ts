import { readFile } from 'node:fs/promises';
import type { Bus } from '@signet/bus';
import { type Authority, listAuthorities } from '@signet/contracts';
import { readIfThere, replaceFile } from '@signet/files';
import { encodePem, parseCertificatePem, parseCrl, verifyCrlSignature } from '@signet/pki';
import { below, hangUp, type Logger, streamOutward } from '@signet/service';

const FETCH_MS = 60_000;

export type CrlExport = {
  readonly bus: Bus;
  /** Base URL of the plain HTTP port of `est-ca`. */
  readonly url: string;
  /** PEM file of all CRLs, replaced as a whole. */
  readonly file: string;
  /** File with the process id that gets SIGHUP when the file has changed. */
  readonly pidFile?: string | undefined;
  readonly maxBytes: number;
  readonly log: Logger;
};

/**
 * Brings a file of the CRLs of all operational CAs up to date, for brokers that are not ours: written beside, synced,
 * renamed; then the broker is told. A CRL that its CA did not sign leaves the file as it is.
 * @returns whether it changed
 */
export async function exportCrls(options: CrlExport): Promise<boolean> {
  const { bus, file, log } = options;
  const { authorities } = await bus.request(listAuthorities, {});
  const issuing = authorities.filter(({ kind }) => kind === 'issuing');
  const parts: string[] = [];
  for (const authority of issuing) parts.push(await crlOf(authority, options));
  const text = parts.join('');
  if ((await readIfThere(file)) === text) return false;
  // CRLs are public, and the broker may run as another user
  await replaceFile(file, text, { mode: 0o644 });
  const told = await tell(options.pidFile);
  log.info({ file, authorities: issuing.length, told }, 'CRL export: the file was replaced');
  return true;
}

async function crlOf(authority: Authority, { url, maxBytes }: CrlExport): Promise<string> {
  const chunks: Buffer[] = [];
  const path = `/crl/${encodeURIComponent(authority.authorityId)}.crl`;
  const { status } = await streamOutward(
    {
      ...{ url: below(url, path), method: 'GET', deadlineMs: FETCH_MS },
      ...{ maxAnswerBytes: maxBytes, allowPrivate: true },
    },
    async (body) => {
      for await (const chunk of body) chunks.push(chunk);
    },
  );
  if (status !== 200) throw new Error(`${path}: HTTP ${status}`);
  const der = Buffer.concat(chunks);
  if (!verifyCrlSignature(parseCrl(der), parseCertificatePem(authority.certificate)))
    throw new Error(`${path}: not signed by CA "${authority.authorityId}"`);
  return encodePem('X509 CRL', der);
}

/** @returns the process that was told */
async function tell(pidFile: string | undefined): Promise<number | undefined> {
  if (pidFile === undefined) return undefined;
  const pid = Number((await readFile(pidFile, 'utf8')).trim());
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pidFile}: holds no process id`);
  hangUp(pid);
  return pid;
}
