import fc from 'fast-check';
import { expect, test } from 'vitest';

test.skipIf(process.env.SIGNET_TEST_SEED === undefined)(
  'property tests begin from the seed of the run',
  () => {
    const seed = Number(process.env.SIGNET_TEST_SEED);
    const drawn = () => fc.sample(fc.integer(), 20);
    expect(drawn()).toEqual(fc.sample(fc.integer(), { numRuns: 20, seed }));
    expect(drawn()).toEqual(drawn());
  },
);

test('fails where a soak plants a failure, for the test of the soak', () => {
  expect(process.env.SIGNET_SOAK_PLANT).toBeUndefined();
});
