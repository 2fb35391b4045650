import { defineConfig } from 'vitest/config';

/** A run with a seed (`npm run test:soak`) gives it to every property test. */
const setupFiles = process.env.SIGNET_TEST_SEED === undefined ? [] : ['tests/soak/seed.ts'];

/**
 * A test's suffix states its cost: unit (nothing outside the process), service (a service on SQLite and the local
 * bus), server (a server, tool or process that is not ours), e2e (the platform). `int` is the former name of both
 * service and server.
 */
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
          name: 'service',
          include: ['{libs,services,apps,tests,bench,deploy}/**/*.service.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          setupFiles,
        },
      },
      {
        test: {
          name: 'server',
          include: ['{libs,services,apps,tests,bench,deploy}/**/*.server.test.ts'],
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
