import { InvalidArgumentError } from 'commander';

/** A time that an option names, as RFC 3339 text: reads what `Date` reads, so also `2027-01-31`. */
export function parseTime(value: string): string {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('expected a time like 2027-01-31T12:00:00Z');
  return at.toISOString();
}
