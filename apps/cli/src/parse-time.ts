import { InvalidArgumentError } from 'commander';

const FORM = /^(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/i;

/** A time that an option names, as RFC 3339 text: also a day alone, and without a zone as here. */
export function parseTime(value: string): string {
  const [, day] = FORM.exec(value) ?? [];
  const at = new Date(value);
  // `Date` goes on counting after the end of a month
  const isDay =
    day !== undefined && !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day);
  if (!isDay || Number.isNaN(at.getTime()))
    throw new InvalidArgumentError('expected a time like 2027-01-31T12:00:00Z');
  return at.toISOString();
}
