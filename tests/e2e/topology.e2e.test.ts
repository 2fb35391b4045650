import { join } from 'node:path';
import { platformSuite } from './suites/platform.ts';
import { natsDownstream } from './support/downstream.ts';
import { requireServers, startServers } from './support/servers.ts';
import { requireTools } from './support/tools.ts';
import { startTopologyEnvironment } from './support/topology-environment.ts';

const binaries = requireServers();

platformSuite(
  'topology: the compose file as six processes over NATS, MongoDB and Redis',
  { ...requireTools(), ...binaries },
  async () => {
    await using stack = new AsyncDisposableStack();
    const servers = stack.use(await startServers(binaries));
    const env = stack.use(await startTopologyEnvironment(servers.urls));
    const downstream = stack.use(await natsDownstream(servers.urls.nats));
    const rest = stack.move();
    return {
      ...{ env, topology: env, servers, downstream },
      keyFolder: join(env.directory, 'est-ca', 'est-ca', 'keys'),
      [Symbol.asyncDispose]: () => rest.disposeAsync(),
    };
  },
  { inProcess: false, servers: true },
);
