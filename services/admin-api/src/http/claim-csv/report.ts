import type { Bus } from '@signet/bus';
import { type ClaimItem, type ClaimResult, claimDevices, OperationError } from '@signet/contracts';
import type { ClaimRow } from './claim-rows.ts';
import { SeenLines } from './seen-lines.ts';

/** What came of one line. `duplicateOf`: the line of the file that claims the same device before. */
export type ReportLine =
  | ({ readonly line: number; readonly duplicateOf?: number } & ClaimResult)
  | { readonly line: number; readonly outcome: 'bad-line'; readonly message: string };

/** The end of a report: how many lines had which outcome, or from which line on nothing was tried, and why. */
export type ReportEnd =
  | { readonly done: true; readonly lines: number; readonly outcomes: Readonly<Record<string, number>> }
  | { readonly done: false; readonly fromLine: number; readonly message: string };

type Deps = {
  readonly bus: Pick<Bus, 'request'>;
  readonly account: string;
  readonly by: string;
  readonly group?: string | undefined;
  /** Waits before a batch is tried again while bootstrap is unavailable, ms. */
  readonly waitsMs?: readonly number[];
};

const BATCH = 256;
/** Batches that are under way at a time. */
const AHEAD = 3;
const DEADLINE_MS = 30_000;
const WAITS_MS = [250, 1000, 4000, 10_000, 20_000];

/** Claims row by row, and tells of each line in the order of the file. Repeating the file is safe. */
export async function* claimRows(
  deps: Deps,
  rows: AsyncIterable<ClaimRow>,
): AsyncGenerator<ReportLine | ReportEnd> {
  const outcomes: Record<string, number> = {};
  const seen = new SeenLines();
  const queue: { readonly from: number; readonly report: Promise<readonly ReportLine[]> }[] = [];
  let lines = 0;
  const settle = async function* () {
    const batch = queue.shift();
    if (batch === undefined) return true;
    try {
      for (const line of await batch.report) {
        lines++;
        outcomes[line.outcome] = (outcomes[line.outcome] ?? 0) + 1;
        yield line;
      }
      return true;
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      await Promise.allSettled(queue.map(({ report }) => report));
      yield { done: false as const, fromLine: batch.from, message: error.message };
      return false;
    }
  };
  for await (const batch of batches(rows)) {
    const report = claimBatch(deps, batch, seen);
    report.catch(() => {});
    queue.push({ from: batch[0]?.line ?? 0, report });
    if (queue.length >= AHEAD && !(yield* settle())) return;
  }
  while (queue.length > 0) if (!(yield* settle())) return;
  yield { done: true, lines, outcomes };
}

async function claimBatch(
  deps: Deps,
  rows: readonly ClaimRow[],
  seen: SeenLines,
): Promise<readonly ReportLine[]> {
  const marked = rows.map((row) => ({
    row,
    first: 'item' in row ? seen.see(row.item.fingerprint ?? row.item.code ?? '', row.line) : undefined,
  }));
  const items = rows.flatMap((row): ClaimItem[] =>
    'item' in row ? [deps.group === undefined ? row.item : { group: deps.group, ...row.item }] : [],
  );
  const results = items.length === 0 ? [] : await claimItems(deps, items);
  const next = results.values();
  return marked.map(({ row, first }): ReportLine => {
    const { line } = row;
    if ('fault' in row) return { line, outcome: 'bad-line', message: row.fault };
    const result = next.next().value;
    if (result === undefined)
      throw new OperationError('internal', 'bootstrap answered fewer results than items');
    return { line, ...result, ...(first === undefined ? {} : { duplicateOf: first }) };
  });
}

async function claimItems(
  { bus, account, by, waitsMs = WAITS_MS }: Deps,
  items: ClaimItem[],
): Promise<ClaimResult[]> {
  for (let attempt = 0; ; attempt++) {
    try {
      return (await bus.request(claimDevices, { account, items, by }, { deadlineMs: DEADLINE_MS })).results;
    } catch (error) {
      const wait = waitsMs[attempt];
      const isPassing =
        error instanceof OperationError && ['unavailable', 'deadline-exceeded'].includes(error.code);
      if (!isPassing || wait === undefined) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

async function* batches(rows: AsyncIterable<ClaimRow>): AsyncGenerator<ClaimRow[]> {
  let batch: ClaimRow[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
