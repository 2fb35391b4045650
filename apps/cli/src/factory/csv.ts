import { CsvError, parse } from 'csv-parse/sync';
import { CliError } from '../cli-error.ts';

export type CsvRow = { readonly line: number; readonly values: Readonly<Record<string, string>> };

/**
 * A CSV file (RFC 4180) whose first line names its columns; a BOM, CRLF and lines without anything are no matter.
 * @throws CliError naming file, line and reason: a column that is missing, not known or there twice, too few or too
 * many values, a quote that does not end
 */
export function parseCsv(
  file: string,
  text: string,
  columns: { readonly required: readonly string[]; readonly optional: readonly string[] },
): CsvRow[] {
  const refuse = (line: number, reason: string): never => {
    throw new CliError(`${file}:${line}: ${reason}`);
  };
  const [head, ...rest] = records(file, text);
  if (head === undefined) return refuse(1, 'empty; the first line must name the columns');
  const names = head.values.map((name) => name.trim());
  const known = [...columns.required, ...columns.optional];
  for (const [i, name] of names.entries()) {
    if (!known.includes(name)) refuse(head.line, `column "${name}" is not one of ${known.join(', ')}`);
    if (names.indexOf(name) !== i) refuse(head.line, `column "${name}" is there twice`);
  }
  for (const name of columns.required)
    if (!names.includes(name)) refuse(head.line, `column "${name}" is missing`);
  return rest.map(({ line, values }) => {
    if (values.length !== names.length)
      refuse(line, `${values.length} values where the columns are ${names.length}`);
    const pairs = names.map((name, i): [string, string] => [name, unquoted((values[i] ?? '').trim())]);
    return { line, values: Object.fromEntries(pairs) };
  });
}

/** One line of a CSV file, ended by CRLF (RFC 4180 §2). */
export function csvLine(cells: readonly (string | undefined)[]): string {
  return `${csvCells(cells)}\r\n`;
}

/** A line without its end: for a terminal, or a file that ends its lines otherwise. */
export function csvCells(cells: readonly (string | undefined)[]): string {
  return cells.map((cell = '') => quoted(cell)).join(',');
}

/** What a spreadsheet takes for a formula, whatever apostrophes stand before it; some take full-width signs for theirs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const FORMULA = /^'*[=+\-@\uff1d\uff0b\uff0d\uff20\u0000-\u001f]/;

/**
 * A cell that a spreadsheet would run is made text: an apostrophe before it, and quotes around it. Device ids, models
 * and reasons are the devices' and other people's to choose. {@link parseCsv} takes it away again.
 */
function quoted(cell: string): string {
  const isFormula = FORMULA.test(cell);
  const text = isFormula ? `'${cell}` : cell;
  return isFormula || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function unquoted(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell;
}

function records(file: string, text: string): { line: number; values: string[] }[] {
  try {
    const options = {
      bom: true,
      info: true,
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      skip_empty_lines: true,
    };
    const found = parse(text, options) as unknown as readonly { record: string[]; info: { lines: number } }[];
    return found
      .filter(({ record }) => record.length > 1 || record[0] !== '')
      .map(({ record, info }) => ({
        // what is counted is the line on which the record ends
        line: info.lines - record.join('').split('\n').length + 1,
        values: record,
      }));
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new CliError(`${file}:${String(cause.lines)}: not CSV: a stray quote`, { cause });
  }
}
