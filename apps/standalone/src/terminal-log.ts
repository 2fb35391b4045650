import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LineWriter } from '@signet/service';
import { type DestinationStream, pino } from 'pino';

const ROTATED_AT = 16 * 1024 * 1024;

/**
 * A log for a terminal that a person looks at: everything goes to `<data dir>/signet.log`, warnings and errors to
 * standard error as well. A file over 16 MiB is put aside, as `signet.log.1`, at the start.
 */
export function openTerminalLog(dataDir: string): {
  file: string;
  lines: LineWriter;
  destination: DestinationStream;
} {
  const file = join(dataDir, 'signet.log');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (existsSync(file) && statSync(file).size > ROTATED_AT) renameSync(file, `${file}.1`);
  const lines = new LineWriter(file);
  const destination = pino.multistream([
    { level: 'trace', stream: lines },
    { level: 'warn', stream: new LineWriter(2) },
  ]);
  return { file, lines, destination };
}
