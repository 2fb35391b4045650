import { join } from 'node:path';
import { startDevEnv } from '@signet/dev-env';
import { platformSuite } from './suites/platform.ts';
import { natsDownstream } from './support/downstream.ts';
import { requireServers, startServers } from './support/servers.ts';
import { requireTools } from './support/tools.ts';

const binaries = requireServers();

platformSuite(
  'servers: NATS, MongoDB and Redis under one process',
  { ...requireTools(), ...binaries },
  async () => {
    await using stack = new AsyncDisposableStack();
    const servers = stack.use(await startServers(binaries));
    const { nats, mongo, redis } = servers.urls;
    let ahead = 0;
    const env = stack.use(
      await startDevEnv({
        engines: { store: `${mongo}signet`, bus: nats, redis },
        now: () => Date.now() + ahead,
      }),
    );
    const downstream = stack.use(await natsDownstream(nats));
    const rest = stack.move();
    return {
      ...{ env, inProcess: env, servers, downstream },
      keyFolder: join(env.dataDir, 'est-ca', 'keys'),
      advanceClock: (ms) => {
        ahead += ms;
      },
      [Symbol.asyncDispose]: () => rest.disposeAsync(),
    };
  },
  { inProcess: true, servers: true },
);
