import {
  ClaimCodeError,
  ClaimItem,
  DeviceId,
  GroupName,
  parseScannedClaim,
  readFingerprint,
} from '@signet/contracts';
import { CsvError, fieldsOf, type Line, linesOf } from './csv-lines.ts';

/** A line of the file: what it claims, or what is wrong with it. */
export type ClaimRow =
  | { readonly line: number; readonly item: ClaimItem }
  | { readonly line: number; readonly fault: string };

type Column = 'fingerprint' | 'code' | 'deviceId' | 'group' | 'passed over';

/** How people write the columns; case, spaces, `_` and `-` do not matter. */
const columnOf: Readonly<Record<string, Column>> = {
  fingerprint: 'fingerprint',
  sha256: 'fingerprint',
  code: 'code',
  claimcode: 'code',
  deviceid: 'deviceId',
  device: 'deviceId',
  id: 'deviceId',
  group: 'group',
  // what a factory's own lists have besides: `signet factory batch` and `signet factory log` write them
  serial: 'passed over',
  model: 'passed over',
  certificateserial: 'passed over',
  made: 'passed over',
  state: 'passed over',
  account: 'passed over',
};

/**
 * The rows of a CSV file of claims. The first line names the columns: `fingerprint` or `code`, and if wanted `deviceId`
 * and `group`, and whatever else a factory's list has; they are separated by commas, semicolons or tabs. Rows that are wrong come as what is wrong with them.
 * @throws CsvError where the first line is not that; nothing has been read after it
 */
export async function readClaimRows(stream: AsyncIterable<Uint8Array>): Promise<AsyncGenerator<ClaimRow>> {
  const lines = linesOf(stream);
  const first = await lines.next();
  if (first.done === true) throw new CsvError('line 1: the file is empty');
  const separator = separatorOf(first.value.text);
  const columns = headerOf(first.value, separator);
  return rows(lines, columns, separator);
}

async function* rows(
  lines: AsyncGenerator<Line>,
  columns: readonly Column[],
  separator: string,
): AsyncGenerator<ClaimRow> {
  for await (const line of lines) yield rowOf(line, columns, separator);
}

function separatorOf(header: string): string {
  const counts = [',', ';', '\t'].map((separator) => ({
    separator,
    count: header.split(separator).length,
  }));
  return counts.toSorted((a, b) => b.count - a.count)[0]?.separator ?? ',';
}

function headerOf({ number, text, isTooLong }: Line, separator: string): readonly Column[] {
  const refuse = (why: string): never => {
    throw new CsvError(
      `line ${number}: ${why}; the first line names the columns, as in "fingerprint,deviceId,group"`,
    );
  };
  if (isTooLong || text.includes('\0')) return refuse('no text in UTF-8');
  const columns = fieldsOf(text, separator).map(
    (name) => columnOf[name.toLowerCase().replaceAll(/[\s_-]/g, '')] ?? refuse(`"${name}" is no column`),
  );
  const twice = columns.find((column, i) => column !== 'passed over' && columns.indexOf(column) !== i);
  if (twice !== undefined) return refuse(`column "${twice}" is there twice`);
  if (!columns.includes('fingerprint') && !columns.includes('code'))
    return refuse('there is no column "fingerprint" or "code"');
  return columns;
}

function rowOf(
  { number: line, text, isTooLong }: Line,
  columns: readonly Column[],
  separator: string,
): ClaimRow {
  if (isTooLong) return { line, fault: 'the line is too long' };
  try {
    const fields = fieldsOf(text, separator);
    if (fields.length !== columns.length) {
      const fault = `${fields.length} fields where the first line has ${columns.length}`;
      return { line, fault };
    }
    return { line, item: itemOf(new Map(columns.map((column, i) => [column, fields[i] ?? '']))) };
  } catch (error) {
    if (!(error instanceof CsvError || error instanceof ClaimCodeError)) throw error;
    return { line, fault: error.message };
  }
}

function itemOf(values: ReadonlyMap<Column, string>): ClaimItem {
  const fingerprint = readFingerprint(values.get('fingerprint') ?? '');
  const code = values.get('code') ?? '';
  const [deviceId = '', group = ''] = [values.get('deviceId'), values.get('group')];
  if (fingerprint === '' && code === '') throw new CsvError('neither fingerprint nor code');
  if (fingerprint !== '' && !/^[0-9a-f]{64}$/.test(fingerprint))
    throw new CsvError(`fingerprint: ${fingerprint.length} characters, where 64 hex digits are expected`);
  if (deviceId !== '' && !DeviceId.safeParse(deviceId).success)
    throw new CsvError('deviceId: letters, digits, "_" and "-", at most 64');
  const name = GroupName.safeParse(group === '' ? 'none' : group);
  if (!name.success) throw new CsvError(name.error.issues[0]?.message ?? 'group: not a name');
  return ClaimItem.parse({
    ...(fingerprint === '' ? { code: parseScannedClaim(code).code } : { fingerprint }),
    ...(deviceId === '' ? {} : { deviceId }),
    ...(group === '' ? {} : { group }),
  });
}
