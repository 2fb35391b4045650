import { aligned } from './aligned.ts';

/** Rows for people. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return aligned([head, ...rows.map((row) => row.map((cell) => (cell === undefined ? '' : String(cell))))]);
}

/** Named values for people, one a line. */
export function facts(values: Record<string, unknown>): string {
  const shown = Object.entries(values).filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${String(value)}`).join('\n');
}

/** So many of a list are named in a line. */
const NAMED = 5;

/** The first of a list, and how many more there are: ten thousand names are no line. */
export function named(all: readonly string[]): string {
  const more = all.length - NAMED;
  return more > 0 ? `${all.slice(0, NAMED).join(', ')} and ${more} more` : all.join(', ');
}
