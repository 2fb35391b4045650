import { configureGlobal, readConfigureGlobal } from 'fast-check';

/** A setup file of vitest, in a run that has a seed: property tests begin from it, so that a failure can be repeated. */
configureGlobal({ ...readConfigureGlobal(), seed: Number(process.env.SIGNET_TEST_SEED) });
