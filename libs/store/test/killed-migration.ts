import process from 'node:process';
import { type Migration, openStore } from '../src/index.ts';
import { plainThings } from './things.ts';

/** The process that is killed half-way through a migration. Arguments: a store URL; after how many documents. */
const [url = '', limit = '0'] = process.argv.slice(2);

let seen = 0;
const arm: Migration = {
  name: 'arm',
  document: (thing) => {
    if (seen++ === Number(limit)) process.kill(process.pid, 'SIGKILL');
    return thing.armed === true ? undefined : Object.assign({}, thing, { armed: true });
  },
};
const store = await openStore({ url, publish: async () => {} });
await store.collection({ ...plainThings, migrations: [arm] });
