import { openDatabase } from '@signet/sqlite';
import { DocumentStore, type StoreOptions } from './document-store.ts';
import { SILENT } from './log.ts';
import { openSqliteStore } from './sqlite/sqlite-store.ts';
import type { Publish, Store } from './store.ts';

export type OpenStoreOptions = StoreOptions & {
  /** `sqlite:<path>` or a `mongodb://` (`mongodb+srv://`) URL; its database is `signet` if it names none. */
  readonly url: string;
  readonly publish: Publish;
};

/**
 * Opens a store whose events go over outboxes to a bus. With MongoDB it opens even while the server is unavailable:
 * `failure()` says so, and operations wait for up to 5 s before they fail with `unavailable`.
 * @throws RangeError if the URL is of no known kind
 */
export async function openStore({ url, ...options }: OpenStoreOptions): Promise<Store> {
  if (url.startsWith('sqlite:')) {
    const database = openDatabase(url.slice('sqlite:'.length));
    return openSqliteStore({ ...options, database, ownsDatabase: true });
  }
  if (/^mongodb(\+srv)?:\/\//.test(url)) {
    // Its driver takes 10 MB, which a process on SQLite has no use for.
    const { MongoEngine } = await import('./mongo/mongo-engine.ts');
    const engine = new MongoEngine(url, options.log ?? SILENT);
    await engine.observed;
    return new DocumentStore(engine, options);
  }
  throw new RangeError(`store: "${url.split(':')[0]}:" is neither sqlite: nor mongodb:`);
}
