import { stripVTControlCharacters } from 'node:util';

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** What takes two columns of a terminal: East Asian wide and full-width characters (UAX #11), and emoji. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;

/** Rows in columns, with a line between them. A cell may have several lines. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.split('\n')));
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.flatMap((row) => (row[column] ?? ['']).map(columnsOf))),
  );
  return cells.flatMap((row) => linesOf(row, widths)).join('\n');
}

function linesOf(row: readonly (readonly string[])[], widths: readonly number[]): string[] {
  const height = Math.max(...row.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    widths
      .map((width, column) => {
        const text = row[column]?.[line] ?? '';
        return ` ${text}${' '.repeat(width - columnsOf(text))} `;
      })
      .join('│'),
  );
}

/** How many columns of a terminal a text takes. */
function columnsOf(text: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(stripVTControlCharacters(text)))
    columns += WIDE.test(segment) ? 2 : 1;
  return columns;
}
