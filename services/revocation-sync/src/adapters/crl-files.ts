import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isStorageFailure } from '@signet/contracts';
import { CrlFile } from '@signet/pki';
import { streamOutbound } from '@signet/service';
import { CrlRefused } from '../domain/crl/judge-crl.ts';
import type { PartRecord } from '../domain/crl/source-record.ts';
import type { CrlFiles, Validators } from '../domain/crl/take-crl.ts';

export type CrlLimits = {
  readonly maxBytes: number;
  /** From the request to the whole answer. */
  readonly deadlineMs: number;
  /** Whether private addresses are allowed. */
  readonly allowPrivate: boolean;
};

/** CRLs in files of a folder, each removed once it is done with. */
export function crlFilesIn(folder: string, limits: CrlLimits): CrlFiles {
  const withFile = async (work: (path: string) => Promise<void>): Promise<void> => {
    const path = join(folder, `crl-${randomUUID()}.tmp`);
    try {
      await mkdir(folder, { recursive: true });
      await work(path);
    } catch (error) {
      if (!isStorageFailure(error)) throw error;
      throw new CrlRefused('unavailable', error.message, { cause: error });
    } finally {
      await rm(path, { force: true });
    }
  };
  return {
    download: (url, known, work) =>
      withFile(async (path) => {
        const validators = await downloadCrl(url, known, path, limits);
        if (validators === undefined) return;
        await using file = await CrlFile.open(path, limits.maxBytes);
        await work(file, validators);
      }),
    receive: (body, work) =>
      withFile(async (path) => {
        await writeCrl(path, body, limits.maxBytes);
        await using file = await CrlFile.open(path, limits.maxBytes);
        await work(file);
      }),
  };
}

/**
 * Fetches a CRL, and writes it to a file unless it is the one before.
 * @returns undefined where the server says that it is the same
 * @throws CrlRefused `unreachable`, `too-large`
 */
async function downloadCrl(
  url: string,
  known: Pick<PartRecord, 'etag' | 'lastModified'>,
  path: string,
  { maxBytes, deadlineMs, allowPrivate }: CrlLimits,
): Promise<Validators | undefined> {
  try {
    const { status, headers } = await streamOutbound(
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
          throw new CrlRefused('too-large', `CRL: ${headers['content-length']} bytes, at most ${maxBytes}`);
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

const PEM = '-----BEGIN';

/** Writes a CRL to a file as it comes, PEM as the DER that it holds. @throws CrlRefused `too-large`, `malformed` */
async function writeCrl(path: string, body: AsyncIterable<Buffer>, maxBytes: number): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await copy(file, body, maxBytes);
  } finally {
    await file.close();
  }
}

async function copy(file: FileHandle, body: AsyncIterable<Buffer>, maxBytes: number): Promise<void> {
  let length = 0;
  let decode: ((chunk: Buffer) => Buffer) | undefined;
  let isFirst = true;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw new CrlRefused('too-large', `CRL: more than ${maxBytes} bytes`);
    if (isFirst && chunk.toString('latin1', 0, PEM.length) === PEM) decode = pemDecoder();
    isFirst = false;
    await file.writeFile(decode === undefined ? chunk : decode(chunk));
  }
}

/** Takes PEM in pieces, cut anywhere. */
function pemDecoder(): (chunk: Buffer) => Buffer {
  let line = '';
  let digits = '';
  let isInside = false;
  return (chunk) => {
    const lines = (line + chunk.toString('latin1')).split('\n');
    line = lines.pop() ?? '';
    if (line.length > 4096) throw new CrlRefused('malformed', 'CRL: a line of its PEM is too long');
    for (const text of lines.map((one) => one.trim())) {
      if (text.startsWith('-----')) isInside = text === '-----BEGIN X509 CRL-----';
      else if (isInside) digits += text;
    }
    if (line.startsWith('-----END')) isInside = false;
    const whole = digits.length - (digits.length % 4);
    const bytes = Buffer.from(digits.slice(0, whole), 'base64');
    digits = digits.slice(whole);
    return bytes;
  };
}
