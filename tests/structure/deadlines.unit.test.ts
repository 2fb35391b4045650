import { expect, it } from 'vitest';
import { read, sourcesBelow } from './source-files.ts';

/** Where `deadlineIn` is. */
const BOUNDED = ['libs/async/src/deadline.ts'];

/** A reckoned time is a fraction, negative or too long for a timer at times; `deadlineIn` takes any. */
const reckoned = (source: string) =>
  Array.from(
    source.matchAll(/AbortSignal\.timeout\(([^;]*?)\)[;,)\s]/g),
    ([, argument = '']) => argument,
  ).filter((argument) => /[-+*/]|\d\s*\(/.test(argument));

it('AbortSignal.timeout, which refuses a fraction, is given no time that is reckoned', () => {
  const found = ['libs', 'services', 'apps']
    .flatMap(sourcesBelow)
    .flatMap((path) =>
      BOUNDED.includes(path) ? [] : reckoned(read(path)).map((argument) => `${path}: ${argument}`),
    );
  expect(found).toEqual([]);
  expect(reckoned('AbortSignal.timeout(begun + deadlineMs - now());')).toHaveLength(1);
});
