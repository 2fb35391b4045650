import Table from 'cli-table3';

/** Rows for people. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const made = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    chars: borderless,
  });
  for (const row of rows) made.push(row.map((cell) => (cell === undefined ? '' : String(cell))));
  return made.toString();
}

/** Named values for people, one a line. */
export function facts(values: Record<string, unknown>): string {
  const shown = Object.entries(values).filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${String(value)}`).join('\n');
}

const borderless = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((name) => [name, '']),
) as Record<string, string>;
