import { openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CliError } from './cli-error.ts';
import type { Context } from './context.ts';
import { namedFailure } from './read-input.ts';

type ReportLine = {
  readonly line: number;
  readonly outcome: string;
  readonly fingerprint?: string;
  readonly deviceId?: string;
  readonly message?: string;
  readonly duplicateOf?: number;
};
type ReportEnd =
  | { readonly done: true; readonly lines: number; readonly outcomes: Record<string, number> }
  | { readonly done: false; readonly fromLine: number; readonly message: string };

const GOOD: ReadonlySet<string> = new Set(['claimed', 'already-yours']);

/**
 * Claims the devices of a CSV file and reports each line: all of them with --json, else those that are not the
 * account's now, and those of which a part was not done (a device that is not moved to the group). @throws CliError where there is one, or the report broke off
 */
export async function claimFile(
  { api, json, say }: Context,
  file: string,
  query: { readonly group?: string | undefined },
): Promise<void> {
  const there = await stat(file).catch((cause: unknown) => {
    throw new CliError(namedFailure(file, cause), { cause });
  });
  if (!there.isFile()) throw new CliError(`${file}: no file`);
  const body = await openAsBlob(file, { type: 'text/csv' });
  await requireUtf8(file, body);
  let end: ReportEnd | undefined;
  for await (const text of api.lines('/v1/accounts/{account}/devices/claims', query, body)) {
    const line = JSON.parse(text) as ReportLine | ReportEnd;
    if ('done' in line) end = line;
    else if (json) say(line, () => text);
    else if (!GOOD.has(line.outcome) || line.message !== undefined) say(line, () => wordsOf(line));
  }
  if (end === undefined)
    throw new CliError('the report was interrupted; run the command again, claimed devices stay claimed');
  if (!end.done)
    throw new CliError(
      `from line ${end.fromLine} onward nothing was claimed: ${end.message}; run the command again, claimed devices stay claimed`,
    );
  const { lines, outcomes } = end;
  say(end, () =>
    [`${lines} lines`, ...Object.entries(outcomes).map(([outcome, n]) => `${n} ${outcome}`)].join(', '),
  );
  const bad = lines - [...GOOD].reduce((sum, outcome) => sum + (outcomes[outcome] ?? 0), 0);
  if (bad > 0) throw new CliError(`${bad} of ${lines} lines are not claimed`);
}

/** A spreadsheet may have written another encoding, whose ids would be claimed garbled. @throws CliError */
async function requireUtf8(file: string, body: Blob): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const chunk of body.stream()) decoder.decode(chunk, { stream: true });
    decoder.decode();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new CliError(`${file}: not UTF-8; save it as "CSV UTF-8"`, { cause });
  }
}

function wordsOf({ line, outcome, fingerprint, message, duplicateOf }: ReportLine): string {
  const why = message === undefined ? '' : `: ${message}`;
  const twice = duplicateOf === undefined ? '' : ` (line ${duplicateOf} names the same device)`;
  return `line ${line}: ${outcome}${fingerprint === undefined ? '' : ` ${fingerprint}`}${why}${twice}`;
}
