import { defineConfig } from 'vitest/config';

/** A run with a seed (`npm run test:soak`) gives it to every property test. */
const setupFiles = process.env.SIGNET_TEST_SEED === undefined ? [] : ['tests/soak/seed.ts'];

/** A test's suffix states its cost: unit (nothing), int (a real server), e2e (the platform). */
export default defineConfig({
  test: {
    maxWorkers: 2,
    maxConcurrency: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{libs,services,apps,tests,bench,docs,deploy}/**/*.unit.test.ts'],
          testTimeout: 20_000,
          setupFiles,
        },
      },
      {
        test: {
          name: 'int',
          include: ['{libs,services,apps,tests,deploy}/**/*.int.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          setupFiles,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/{e2e,attacks,compatibility,guides,years}/**/*.e2e.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          setupFiles,
        },
      },
    ],
  },
});
