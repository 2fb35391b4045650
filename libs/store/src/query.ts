import { encodePrefix, encodeValue, endOfPrefix, isIndexValue, keyColumn } from './index-key.ts';
import type { KeyRange } from './record.ts';
import type { CollectionSpec, Query, Stored } from './store.ts';
import { StoreError } from './store-error.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

function invalid(field: string, reason: string): StoreError {
  return new StoreError('invalid-query', `${field}: ${reason}`);
}

/** How the values of an index, or the ids, are turned into keys. */
type Encoding = {
  readonly column: string | undefined;
  readonly fields: readonly string[];
  value(value: string | number | boolean): string;
  prefix(text: string): string;
};

const BY_ID: Encoding = { column: undefined, fields: ['id'], value: String, prefix: String };

function encodingOf<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  index: I | undefined,
): Encoding {
  if (index === undefined) return BY_ID;
  if (!Object.hasOwn(spec.indexes, index)) throw invalid('index', `${spec.name} has no index "${index}"`);
  const declared = spec.indexes[index];
  return { column: keyColumn(declared), fields: declared.fields, value: encodeValue, prefix: encodePrefix };
}

/** The keys that a query asks for. @throws StoreError `invalid-query` */
export function rangeOf<T extends Stored, I extends string>(
  spec: CollectionSpec<T, I>,
  query: Query<T, I>,
): KeyRange {
  const encoding = encodingOf(spec, query.index);
  const equals: Record<string, unknown> = query.equals ?? {};
  const given = Object.keys(equals).length;
  const leading = encoding.fields.slice(0, given);
  const stray = Object.keys(equals).find((field) => !leading.includes(field));
  if (stray !== undefined) throw invalid(`equals.${stray}`, 'is not a leading field of the index');

  let base = '';
  for (const field of leading) {
    const value = equals[field];
    if (!isIndexValue(value))
      throw invalid(`equals.${field}`, 'must be a string, a finite number or a boolean');
    base += encoding.value(value);
  }
  if (encoding === BY_ID && given === 1) return { column: undefined, ...exactly(base) };
  return { column: encoding.column, ...narrowed(encoding, base, query, given === encoding.fields.length) };
}

type Bounds = Omit<KeyRange, 'column'>;

function exactly(id: string): Bounds {
  return { from: { key: id, exclusive: false }, to: `${id}\u0000` };
}

function narrowed<T>(encoding: Encoding, base: string, query: Query<T>, complete: boolean): Bounds {
  const { prefix, from, to } = query;
  if (prefix === undefined && from === undefined && to === undefined) return startingWith(encoding, base);
  if (complete) throw invalid('equals', 'leaves no field for prefix, from or to');
  if (prefix !== undefined) {
    if (from !== undefined || to !== undefined) throw invalid('prefix', 'does not go with from or to');
    if (!isIndexValue(prefix)) throw invalid('prefix', 'must be well-formed text');
    return startingWith(encoding, base + encoding.prefix(prefix));
  }
  for (const [name, bound] of Object.entries({ from, to })) {
    if (bound !== undefined && !isIndexValue(bound))
      throw invalid(name, 'must be a string or a finite number');
  }
  const kinds = new Set([from, to].filter((bound) => bound !== undefined).map((bound) => typeof bound));
  if (kinds.size > 1) throw invalid('from', 'must be of the same type as to');
  const sameKind = startingWith(encoding, encoding === BY_ID ? '' : base + (kinds.has('number') ? 'n' : 's'));
  return {
    ...sameKind,
    ...(from === undefined ? {} : { from: { key: base + encoding.value(from), exclusive: false } }),
    ...(to === undefined ? {} : { to: base + encoding.value(to) }),
  };
}

function startingWith(encoding: Encoding, key: string): Bounds {
  if (encoding === BY_ID && key === '') return {};
  return { from: { key, exclusive: false }, to: endOfPrefix(key) };
}

/** Number of items of a page. @throws StoreError `invalid-query` */
export function limitOf(limit: number = DEFAULT_LIMIT): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw invalid('limit', `must be an integer from 1 to ${MAX_LIMIT}`);
  }
  return limit;
}

/** The cursor of the page that follows the item with this key. */
export function cursorAfter(key: string): string {
  return Buffer.from(key).toString('base64url');
}

/** What is left of a range after a cursor. A cursor of another query is refused, so it never widens one. @throws StoreError `wrong-cursor` */
export function resume(range: KeyRange, cursor: string | undefined, descending: boolean): KeyRange {
  if (cursor === undefined) return range;
  const key = Buffer.from(cursor, 'base64url').toString();
  if (cursorAfter(key) !== cursor || !contains(range, key)) {
    throw new StoreError('wrong-cursor', 'cursor: is not one of this query');
  }
  return descending ? { ...range, to: key } : { ...range, from: { key, exclusive: true } };
}

function contains({ from, to }: KeyRange, key: string): boolean {
  const bytes = Buffer.from(key);
  return (
    (from === undefined || Buffer.compare(bytes, Buffer.from(from.key)) >= 0) &&
    (to === undefined || Buffer.compare(bytes, Buffer.from(to)) < 0)
  );
}
