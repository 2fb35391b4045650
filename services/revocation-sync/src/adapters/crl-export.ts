import { readFile } from 'node:fs/promises';
import { readIfThere, replaceFile } from '@signet/files';
import { below, hangUp, streamOutbound } from '@signet/service';
import type { ExportContext } from '../domain/brokers/export-crls.ts';

const FETCH_MS = 60_000;

export type CrlExportOptions = {
  /** Base URL of the plain HTTP port of `est-ca`. */
  readonly url: string;
  /** PEM file of all CRLs: written beside, synced, renamed. */
  readonly file: string;
  /** File with the process id that gets SIGHUP when the file has changed. */
  readonly pidFile: string | undefined;
  readonly maxBytes: number;
};

/** The file of the CRLs, and where they come from. */
export function crlExportFile(options: CrlExportOptions): ExportContext['crlExport'] {
  const { url, file, pidFile, maxBytes } = options;
  return {
    async fetchCrl(path) {
      const chunks: Buffer[] = [];
      const { status } = await streamOutbound(
        {
          ...{ url: below(url, path), method: 'GET', deadlineMs: FETCH_MS },
          ...{ maxAnswerBytes: maxBytes, allowPrivate: true },
        },
        async (body) => {
          for await (const chunk of body) chunks.push(chunk);
        },
      );
      if (status !== 200) throw new Error(`${path}: HTTP ${status}`);
      return Buffer.concat(chunks);
    },
    async replace(text) {
      if ((await readIfThere(file)) === text) return undefined;
      // CRLs are public, and the broker may run as another user
      await replaceFile(file, text, { mode: 0o644 });
      return { file, told: await tell(pidFile) };
    },
  };
}

/** @returns the process that was told */
async function tell(pidFile: string | undefined): Promise<number | undefined> {
  if (pidFile === undefined) return undefined;
  const pid = Number((await readFile(pidFile, 'utf8')).trim());
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pidFile}: holds no process id`);
  hangUp(pid);
  return pid;
}
