import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DenyTable } from './deny-table.ts';
import { packRecords, RECORD_OCTETS } from './packed-records.ts';

const uniform = fc
  .array(fc.integer({ min: 0, max: 255 }), { minLength: 16, maxLength: 16 })
  .map((hash) => Buffer.from(hash).toString('hex'));
/** Few hashes, at both ends and in the middle, so that runs collide, overflow and touch the tail. */
const crowded = fc
  .tuple(
    fc.constantFrom('00000000', '00000001', '7fffffff', '80000000', 'fffffffe', 'ffffffff'),
    fc.integer({ min: 0, max: 40 }),
  )
  .map(([hash, rest]) => `${hash}${rest.toString(16).padStart(24, '0')}`);
const key = fc.oneof(uniform, crowded);
const expiry = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1000 }));
const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), key, expiry }),
  fc.record({ do: fc.constant('add' as const), key: crowded, expiry }),
  fc.record({ do: fc.constant('lift' as const), key }),
  fc.record({ do: fc.constant('lift' as const), key: crowded }),
  fc.record({ do: fc.constant('purge' as const), now: fc.integer({ min: 0, max: 1000 }) }),
  fc.record({ do: fc.constant('fit' as const) }),
);

const dead = (expiresAt: number, now: number) => expiresAt !== 0 && expiresAt <= now;

function contents(table: DenyTable): [string, number][] {
  const records = Buffer.from(table.packed());
  return Array.from({ length: records.length / RECORD_OCTETS }, (_, i) => [
    records.subarray(i * 20, i * 20 + 16).toString('hex'),
    records.readUInt32BE(i * 20 + 16),
  ]);
}

const sorted = (entries: Iterable<[string, number]>) =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

describe('the table of denied keys', () => {
  it('does what a Map does, whatever is added, lifted and purged', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const table = new DenyTable();
        const model = new Map<string, number>();
        let horizon = 0;
        for (const s of steps) {
          if (s.do === 'add') {
            table.add(s.key, s.expiry);
            if (dead(s.expiry, horizon)) model.delete(s.key);
            else model.set(s.key, s.expiry);
          } else if (s.do === 'lift') {
            expect(table.lift(s.key)).toBe(model.delete(s.key));
          } else if (s.do === 'purge') {
            horizon = Math.max(horizon, s.now);
            const gone = [...model].filter(([, expiresAt]) => dead(expiresAt, s.now));
            for (const [k] of gone) model.delete(k);
            expect(table.purge(s.now)).toBe(gone.length);
          } else {
            table.fit();
          }
          expect(table.size).toBe(model.size);
          expect(table.isSound()).toBe(true);
        }
        for (const [k, expiresAt] of model)
          for (const now of [0, 500, 1000]) expect(table.has(k, now)).toBe(!dead(expiresAt, now));
        expect(sorted(contents(table))).toEqual(sorted(model));
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same pages of a range of hashes whatever its capacity', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 300 }),
        fc.array(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { maxLength: 6 }),
        (keys, cuts) => {
          const small = new DenyTable();
          const large = new DenyTable(5000);
          for (const k of keys) small.add(k, 7);
          for (const k of keys) large.add(k, 7);
          const edges = [0, ...cuts.sort((a, b) => a - b), 2 ** 32];
          const all: [string, number][] = [];
          for (let i = 1; i < edges.length; i++) {
            const page = new DenyTable();
            page.load(small.packed(edges[i - 1], edges[i]));
            const other = new DenyTable();
            other.load(large.packed(edges[i - 1], edges[i]));
            expect(sorted(contents(page))).toEqual(sorted(contents(other)));
            all.push(...contents(page));
          }
          expect(sorted(all)).toEqual(sorted(keys.map((k) => [k, 7])));
        },
      ),
    );
  });

  it('reads the packed records that it writes', () => {
    const entries = [
      { key: '00'.repeat(16), expiresAt: 0 },
      { key: 'ff'.repeat(16), expiresAt: 4_000_000_000 },
      { key: `${'12'.repeat(15)}34`, expiresAt: 1 },
    ];
    const table = new DenyTable(entries.length);
    table.load(packRecords(entries));
    expect(sorted(contents(table))).toEqual(sorted(entries.map((e) => [e.key, e.expiresAt])));
  });

  it('refuses bytes that are no whole number of records, and keys that are none', () => {
    const table = new DenyTable();
    expect(() => table.load(new Uint8Array(21))).toThrow('records: 21 bytes are no whole number of 20');
    expect(() => table.add('AB', 0)).toThrow('key: "AB" is not 32 lower-case hex digits');
    expect(() => table.has('', 0)).toThrow(RangeError);
  });

  it('takes at most 28 bytes an entry once loaded, in order of the hashes as a snapshot has them', () => {
    const count = 300_000;
    const random = new DenyTable(count);
    const part = new Uint8Array(3000 * RECORD_OCTETS);
    for (let i = 0; i < count; i += 3000) random.load(crypto.getRandomValues(part));
    const table = new DenyTable(count);
    table.load(random.packed());
    expect(table.size).toBe(count);
    expect(table.bytes / table.size).toBeLessThanOrEqual(28);
  });

  it('comes to one digest, whether it grew entry by entry or was loaded at once', () => {
    const grown = new DenyTable();
    for (let i = 0; i < 20_000; i++) {
      grown.add(Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex'), i % 3);
      if (i % 500 === 0) expect(grown.isSound()).toBe(true);
    }
    const loaded = new DenyTable(grown.size);
    loaded.load(grown.packed());
    expect(grown.isSound()).toBe(true);
    expect(loaded.digest).toBe(grown.digest);
  });

  it('gives memory back when most of it is lifted', () => {
    const table = new DenyTable();
    const keys = Array.from({ length: 5000 }, (_, i) =>
      Buffer.from(new Uint32Array([Math.imul(i, 2654435761), i, i, i]).buffer).toString('hex'),
    );
    for (const k of keys) table.add(k, 0);
    const full = table.bytes;
    for (const k of keys.slice(10)) table.lift(k);
    expect(table.bytes).toBeLessThan(full / 10);
    for (const k of keys.slice(0, 10)) expect(table.has(k, 0)).toBe(true);
  });
});
