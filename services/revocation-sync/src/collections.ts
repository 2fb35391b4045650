import type { CollectionSpec, Migration, Store } from '@signet/store';
import { Sighting } from './domain/crl/listed-devices.ts';
import { SetPage } from './domain/crl/serial-sets.ts';
import { type PartRecord, SourceRecord } from './domain/crl/source-record.ts';
import { Piece } from './domain/crl/uploads.ts';
import { ChangeRecord, EntryRecord, ProgressRecord } from './domain/ledger/records.ts';

export const changeRecords = {
  name: 'revocation-sync.changes',
  schema: ChangeRecord,
  indexes: {},
} satisfies CollectionSpec<ChangeRecord>;

export const entryRecords = {
  name: 'revocation-sync.entries',
  schema: EntryRecord,
  indexes: { byAccount: { fields: ['account', 'kind'] }, byPurge: { fields: ['purgeAt'] } },
} satisfies CollectionSpec<EntryRecord>;

export const progressRecords = {
  name: 'revocation-sync.progress',
  schema: ProgressRecord,
  indexes: {},
} satisfies CollectionSpec<ProgressRecord>;

/** 0.1.0 took the time of a CRL without a number for its number: nothing numbered came up to that again. */
const madeUpNumbersGo: Migration = {
  name: 'made-up-crl-numbers-go',
  document: (source) => {
    const parts = (source.parts as readonly PartRecord[]).map((part) => {
      const { number, completeNumber, ...rest } = part;
      const isMadeUp = (text: string | undefined) =>
        text !== undefined && part.thisUpdate !== undefined && Number(text) === secondsOf(part.thisUpdate);
      return {
        ...rest,
        ...(number === undefined || isMadeUp(number) ? {} : { number }),
        ...(completeNumber === undefined || isMadeUp(completeNumber) ? {} : { completeNumber }),
      };
    });
    return Object.assign({}, source, { parts });
  },
};

function secondsOf(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}

export const sourceRecords = {
  name: 'revocation-sync.crl-sources',
  schema: SourceRecord,
  indexes: { byAccount: { fields: ['account', 'name'] }, byDue: { fields: ['dueAt'] } },
  migrations: [madeUpNumbersGo],
} satisfies CollectionSpec<SourceRecord>;

export const setPages = {
  name: 'revocation-sync.crl-pages',
  schema: SetPage,
  indexes: {},
} satisfies CollectionSpec<SetPage>;

export const sightingRecords = {
  name: 'revocation-sync.sightings',
  schema: Sighting,
  indexes: {},
} satisfies CollectionSpec<Sighting>;

export const pieceRecords = {
  name: 'revocation-sync.crl-uploads',
  schema: Piece,
  indexes: { byTime: { fields: ['at'] } },
} satisfies CollectionSpec<Piece>;

/** Every collection of the service. */
export type Collections = Awaited<ReturnType<typeof openCollections>>;

export async function openCollections(store: Store) {
  return {
    changes: await store.collection(changeRecords),
    entries: await store.collection(entryRecords),
    progress: await store.collection(progressRecords),
    sources: await store.collection(sourceRecords),
    pages: await store.collection(setPages),
    sightings: await store.collection(sightingRecords),
    pieces: await store.collection(pieceRecords),
  };
}
