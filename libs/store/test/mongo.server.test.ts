import { randomUUID } from 'node:crypto';
import { requireServer } from '@signet/tests/servers';
import { MongoClient } from 'mongodb';
import { afterAll, describe } from 'vitest';
import { openStore } from '../src/index.ts';
import { describeStore } from './contract.ts';
import { describeKill } from './contract-kill.ts';
import { temporaryDirectory } from './temporary.ts';

const server = requireServer('mongo');
const run = randomUUID().slice(0, 8);
const databases: string[] = [];

function urlOf(place: string): string {
  const name = `store-${run}-${place.slice(0, 13)}`;
  databases.push(name);
  const url = new URL(server);
  url.pathname = `/${name}`;
  url.searchParams.set('maxPoolSize', '8');
  return url.href;
}

const isFerret = server !== '' && (await speaksFerret());

async function speaksFerret(): Promise<boolean> {
  await using client = await new MongoClient(server).connect();
  const info = await client.db('admin').command({ buildInfo: 1 });
  return 'ferretdbVersion' in info || 'ferretdb' in info;
}

describe.skipIf(server === '')('with a server', () => {
  afterAll(async () => {
    await using client = await new MongoClient(server).connect();
    for (const name of new Set(databases)) await client.db(name).dropDatabase();
  });

  describeStore({
    name: isFerret ? 'FerretDB' : 'MongoDB',
    open: (place, options) => openStore({ ...options, url: urlOf(place) }),
    tellsWritersApart: !isFerret,
    many: 40,
    runs: 4,
  });

  describeKill({ url: () => urlOf('kill'), directory: temporaryDirectory(), kills: 2 });
});
