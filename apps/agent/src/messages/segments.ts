import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRecord } from './record.ts';

/** A message that waits, and where its record lies. */
export type Waiting = {
  readonly number: number;
  readonly file: string;
  readonly offset: number;
  /** Bytes of its record. */
  readonly size: number;
};

/** What the segments of a queue hold. */
export type Held = {
  readonly waiting: readonly Waiting[];
  /** All messages up to this number were delivered. */
  readonly delivered: number;
  /** The number of the next message. */
  readonly next: number;
  /** Paths, oldest first, each with the number that it ends before. */
  readonly files: readonly { readonly path: string; readonly before: number; readonly isDamaged: boolean }[];
  /** Messages that can be read no more, though they were kept: a disk that changes what it holds. */
  readonly damaged: number;
};

/** A segment's file is named by the number of the first message that it may hold. */
export function segmentFile(folder: string, first: number): string {
  return join(folder, `${String(first).padStart(16, '0')}.log`);
}

/**
 * Reads the segments of a queue; changes nothing. What follows the last whole record of a segment was not acknowledged
 * to anybody: a cut came into its writing, and its number was given again.
 */
export async function readSegments(folder: string): Promise<Held> {
  const names = await readdir(folder).catch(orNone);
  const firsts = names
    .flatMap((name) => (/^\d{16}\.log$/.test(name) ? [Number(name.slice(0, 16))] : []))
    .sort((a, b) => a - b);
  const waiting: Waiting[] = [];
  const files: { path: string; before: number; isDamaged: boolean }[] = [];
  const gaps: { from: number; before: number }[] = [];
  let delivered = 0;
  let next = 1;
  for (const [i, first] of firsts.entries()) {
    const path = segmentFile(folder, first);
    const before = firsts[i + 1] ?? Number.POSITIVE_INFINITY;
    const read = readRecords(path, await readFile(path).catch(emptied));
    const inOrder = read.messages.filter(({ number }) => number < before);
    delivered = Math.max(delivered, read.delivered);
    waiting.push(...inOrder);
    next = Math.max(first, (inOrder.at(-1)?.number ?? 0) + 1);
    const isDamaged = Number.isFinite(before) && next < before;
    if (isDamaged) gaps.push({ from: next, before });
    files.push({ path, before: Number.isFinite(before) ? before : next, isDamaged });
  }
  const lost = gaps.map(({ from, before }) => Math.max(0, before - Math.max(from, delivered + 1)));
  return {
    waiting: waiting.filter(({ number }) => number > delivered),
    delivered,
    next: Math.max(next, delivered + 1),
    files,
    damaged: lost.reduce((sum, count) => sum + count, 0),
  };
}

function readRecords(file: string, bytes: Buffer): { messages: Waiting[]; delivered: number } {
  const messages: Waiting[] = [];
  let delivered = 0;
  for (let offset = 0; ; ) {
    const read = decodeRecord(bytes, offset);
    if (read === undefined) return { messages, delivered };
    const { record, end } = read;
    if (record.kind === 'delivered') delivered = Math.max(delivered, record.number);
    else messages.push({ number: record.number, file, offset, size: end - offset });
    offset = end;
  }
}

function orNone(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
  throw error;
}

/** The agent has removed it while a look at its status goes on. */
function emptied(error: unknown): Buffer {
  orNone(error);
  return Buffer.alloc(0);
}
