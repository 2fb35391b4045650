import process from 'node:process';
import {
  createAuthorities,
  describeAuthorities,
  finishRootReplacement,
  newEvent,
  replaceRoot,
} from '@signet/contracts';
import { openConfiguredAdmission, openRuntime, parseConfig } from '@signet/service';
import type { Store } from '@signet/store';
import { startEstCa } from '../../src/app.ts';
import { estCaConfig } from '../../src/config.ts';

/** What the parent asks for, by message. `killBefore`: the number of the write of CAs that SIGKILL comes before. */
export type Ask = {
  readonly operation: 'create' | 'replace' | 'finish' | 'describe' | 'delete';
  readonly account: string;
  readonly killBefore?: number;
};

/** est-ca as a process of its own, which ends by SIGKILL in the middle of what it is asked for. */
const [dataDir = ''] = process.argv.slice(2);
const config = parseConfig(estCaConfig, {
  SIGNET_DATA_DIR: dataDir,
  SIGNET_STORE: `sqlite:${dataDir}/signet.db`,
  SIGNET_BIND: '127.0.0.1',
  SIGNET_EST_PORT: '0',
  SIGNET_EST_HTTP_PORT: '0',
  SIGNET_HEALTH_PORT: '0',
  SIGNET_LOG_LEVEL: 'silent',
});
let left = Number.POSITIVE_INFINITY;
const runtime = await openRuntime('est-ca', config);
const store = killing(runtime.deps.store);
const deps = { ...runtime.deps, store };
const admission = await openConfiguredAdmission(config, deps);
await startEstCa(config, { ...deps, admission });
const by = 'ada';
const { bus } = deps;
process.on('message', async ({ operation, account, killBefore }: Ask) => {
  left = killBefore ?? left;
  const run = {
    create: () => bus.request(createAuthorities, { account, by }),
    replace: () => bus.request(replaceRoot, { account, by }),
    finish: () => bus.request(finishRootReplacement, { account, force: false, by }),
    delete: () =>
      bus.publish([
        newEvent('ACCOUNT_DELETED', { account, subject: account, time: Date.now(), data: { by } }),
      ]),
    describe: () => bus.request(describeAuthorities, { account }),
  }[operation];
  process.send?.((await run()) ?? 'done');
});
process.send?.('started');

/** The store, whose user is killed before a write of CAs or of their keys' ids. */
function killing(whole: Store): Store {
  return new Proxy(whole, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== 'function') return found;
      if (name !== 'collection') return found.bind(target);
      return async (spec: Parameters<Store['collection']>[0]) => {
        const collection = await target.collection(spec);
        return /authorit(ies|y-keys)$/.test(spec.name) ? counted(collection) : collection;
      };
    },
  });
}

function counted<T extends object>(collection: T): T {
  return new Proxy(collection, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== 'function') return found;
      const run = found.bind(target);
      if (name !== 'insert' && name !== 'update') return run;
      return (...args: unknown[]) => {
        if (left-- <= 0) process.kill(process.pid, 'SIGKILL');
        return run(...args);
      };
    },
  });
}
