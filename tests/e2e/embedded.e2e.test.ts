import { join } from 'node:path';
import { startDevEnv } from '@signet/dev-env';
import { describe } from 'vitest';
import { platformSuite } from './suites/platform.ts';
import { cutOff } from './suites/replicas.ts';
import { localDownstream } from './support/downstream.ts';
import { requireTools } from './support/tools.ts';

const tools = requireTools();

platformSuite(
  'embedded: SQLite and the local bus in one process',
  tools,
  async () => {
    let ahead = 0;
    const env = await startDevEnv({ now: () => Date.now() + ahead });
    return {
      env,
      inProcess: env,
      downstream: localDownstream(env.deps.bus),
      keyFolder: join(env.dataDir, 'est-ca', 'keys'),
      advanceClock: (ms) => {
        ahead += ms;
      },
      [Symbol.asyncDispose]: () => env[Symbol.asyncDispose](),
    };
  },
  { inProcess: true, servers: false },
);

describe.skipIf(Object.values(tools).includes(''))('embedded, cut off', () => cutOff(tools));
