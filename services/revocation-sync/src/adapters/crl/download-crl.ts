import { streamOutward } from '@signet/service';
import { CrlRefused } from '../../domain/crl/judge-crl.ts';
import type { PartRecord } from '../../domain/crl/source-record.ts';
import { writeCrl } from './crl-octets.ts';

export type DownloadLimits = {
  readonly maxBytes: number;
  /** From the request to the whole answer. */
  readonly deadlineMs: number;
  /** Whether private addresses are allowed. */
  readonly allowPrivate: boolean;
};

/** What an answer says of itself, for the next request. */
export type Validators = { readonly etag?: string; readonly lastModified?: string };

/**
 * Asks for a CRL, and writes it to a file if there is another than the last.
 * @returns undefined where the server says that it is the same
 * @throws CrlRefused `unreachable`, `too-large`
 */
export async function downloadCrl(
  url: string,
  known: Pick<PartRecord, 'etag' | 'lastModified'>,
  path: string,
  { maxBytes, deadlineMs, allowPrivate }: DownloadLimits,
): Promise<Validators | undefined> {
  try {
    const { status, headers } = await streamOutward(
      {
        url,
        method: 'GET',
        deadlineMs,
        // what is too long is refused by `writeCrl`, with a code of its own
        maxAnswerBytes: Number.POSITIVE_INFINITY,
        allowPrivate,
        allowHttp: true,
        headers: {
          accept: 'application/pkix-crl, application/x-pem-file;q=0.5',
          ...(known.etag === undefined ? {} : { 'if-none-match': known.etag }),
          ...(known.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified }),
        },
      },
      async (body, { status, headers }) => {
        if (status !== 200) return;
        if (Number(headers['content-length']) > maxBytes)
          throw new CrlRefused('too-large', `CRL: ${headers['content-length']} octets, at most ${maxBytes}`);
        await writeCrl(path, body, maxBytes);
      },
    );
    if (status === 304) return undefined;
    if (status !== 200) throw new CrlRefused('unreachable', `${url}: HTTP ${status}`);
    const { etag, 'last-modified': lastModified } = headers;
    return {
      ...(typeof etag === 'string' ? { etag } : {}),
      ...(typeof lastModified === 'string' ? { lastModified } : {}),
    };
  } catch (error) {
    if (error instanceof CrlRefused) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CrlRefused('unreachable', `${url}: ${why}`, { cause: error });
  }
}
