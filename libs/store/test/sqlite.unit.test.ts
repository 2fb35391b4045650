import { join } from 'node:path';
import { openSlowDatabase } from '@signet/sqlite/testing';
import { openStore } from '../src/index.ts';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { describeStore } from './contract.ts';
import { temporaryDirectory } from './temporary.ts';

const directory = temporaryDirectory();

describeStore({
  name: 'SQLite',
  open: (place, options) => openStore({ ...options, url: `sqlite:${join(directory, place)}.db` }),
  tellsWritersApart: true,
  many: 600,
  runs: 40,
});

describeStore({
  name: 'SQLite on a disk that is 5 ms slower',
  open: (place, options) =>
    openSqliteStore({
      ...options,
      database: openSlowDatabase(join(directory, `${place}.db`), { commitMs: 5 }),
      ownsDatabase: true,
    }),
  tellsWritersApart: true,
  many: 600,
  runs: 5,
});
