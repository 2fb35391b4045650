import { startDevEnv } from '@signet/dev-env';
import { platformSuite } from './suites/platform.ts';
import { localDownstream } from './support/downstream.ts';
import { requireTools } from './support/tools.ts';

platformSuite('embedded: SQLite and the local bus in one process', requireTools(), async () => {
  const env = await startDevEnv();
  return {
    env,
    inProcess: env,
    downstream: localDownstream(env.deps.bus),
    [Symbol.asyncDispose]: () => env[Symbol.asyncDispose](),
  };
});
