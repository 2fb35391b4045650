import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LineWriter } from '@signet/service';
import { type DestinationStream, pino } from 'pino';

const ROTATED_AT = 16 * 1024 * 1024;

/** Fields that a person at the terminal has no use for; all of them are in the file. */
const ASIDE: ReadonlySet<string> = new Set([
  'level',
  'time',
  'service',
  'instance',
  'pid',
  'hostname',
  'msg',
  'err',
]);

/** A line of the log as a sentence: what happened, why, and to what; the stack is in the file alone. */
export function sentence(line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { level, msg, err } = fields;
  const cause = typeof err === 'object' && err !== null && 'message' in err ? `: ${String(err.message)}` : '';
  const rest = Object.entries(fields)
    .filter(([name, value]) => !ASIDE.has(name) && ['string', 'number', 'boolean'].includes(typeof value))
    .map(([name, value]) => `${name} ${String(value)}`);
  const what = `signet: ${level === 'warn' ? 'warning: ' : ''}${String(msg ?? '')}${cause}`;
  return `${(rest.length === 0 ? what : `${what} (${rest.join(', ')})`).replace(/\s*\n\s*/g, ' ')}\n`;
}

function forPeople(lines: LineWriter): DestinationStream {
  return { write: (line) => lines.write(sentence(line)) };
}

/**
 * A log for a terminal that a person looks at: everything goes to `<data dir>/signet.log`, warnings and errors to
 * standard error as well, as sentences. A file over 16 MiB is put aside, as `signet.log.1`, at the start.
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
    { level: 'warn', stream: forPeople(new LineWriter(2)) },
  ]);
  return { file, lines, destination };
}
