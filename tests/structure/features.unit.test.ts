import { expect, test } from 'vitest';
import { featureTests, listedFeatures } from '../../docs/generate/features.ts';

const listed = listedFeatures();
const tests = featureTests();
const shown = new Set(tests.flatMap(({ numbers }) => numbers));

test('every feature of docs/features.md has a test that carries its number, or says that it is planned', () => {
  expect(listed.length).toBeGreaterThan(80);
  expect(listed.filter(({ number, expectsTests }) => expectsTests && !shown.has(number))).toEqual([]);
  expect(listed.filter(({ number, expectsTests }) => !expectsTests && shown.has(number))).toEqual([]);
});

test('every number in the title of a test is a feature of docs/features.md', () => {
  const known = new Set(listed.map(({ number }) => number));
  expect(tests.filter(({ numbers }) => numbers.some((number) => !known.has(number)))).toEqual([]);
});
