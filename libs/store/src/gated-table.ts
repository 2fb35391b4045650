import { withDeadline } from '@signet/async';
import type { RecordTable } from './record.ts';
import { StoreError } from './store-error.ts';

const DEADLINE_MS = 5000;

function refuse(): never {
  throw new StoreError('unavailable', `the store did not answer within ${DEADLINE_MS} ms`);
}

/** The same table, for those who must wait until it is prepared; after 5 s they get `unavailable`. */
export function gated(table: RecordTable, prepared: Promise<void>): RecordTable {
  let open = false;
  prepared.then(
    () => {
      open = true;
    },
    () => {},
  );
  const pass = <R>(ask: () => Promise<R>): Promise<R> =>
    open ? ask() : withDeadline(prepared, DEADLINE_MS, refuse).then(ask);
  return {
    create: (columns) => table.create(columns),
    index: (columns) => table.index(columns),
    unkeyed: (column, limit) => table.unkeyed(column, limit),
    read: (id) => pass(() => table.read(id)),
    get: (id) => pass(() => table.get(id)),
    insert: (record) => pass(() => table.insert(record)),
    replace: (record, before) => pass(() => table.replace(record, before)),
    erase: (id, version) => pass(() => table.erase(id, version)),
    scan: (range, options) => pass(() => table.scan(range, options)),
    count: (range) => pass(() => table.count(range)),
    pending: (after, limit) => pass(() => table.pending(after, limit)),
  };
}
