import { describe, expect, test } from 'vitest';
import { processUses, read, sourcesBelow, valueImports } from './source-files.ts';

/** What dependency-cruiser cannot see: names within a module, and globals. */
const services = sourcesBelow('services').filter((path) => path.includes('/src/'));
const domain = services.filter(
  (path) =>
    !/\/src\/(http|mqtt|rpc|consumers|jobs|messaging|adapters|wiring)\/|\/src\/(main|app|config|collections|context)\.ts$/.test(
      path,
    ),
);
const guarded = /^(@signet\/(store|bus|denylist)|(node:)?net)$/;
/** Errors and helpers, and of the deny list its data structures and encodings, which do no input or output themselves. */
const harmless = new Set([
  ...[
    'StoreError',
    'all',
    'defineCollection',
    'insertIfAbsent',
    'insertOrGet',
    'isDuplicate',
    'put',
    'unchanged',
  ],
  'BusError',
  ...['isIP', 'isIPv4', 'isIPv6'],
  ...['DenyTable', 'ListState', 'denyKey', 'peerDenyKeys', 'packRecords', 'RECORD_OCTETS'],
  ...['encodeHead', 'encodeDigest'],
]);

const engines = (source: string) =>
  valueImports(source).filter(({ from, name }) => guarded.test(from) && !harmless.has(name));

describe('the domain imports the interfaces of store, bus and deny list', () => {
  test('and no domain file imports what runs', () => {
    const found = domain.flatMap((path) =>
      engines(read(path)).map(({ from, name }) => `${path}: ${name} of ${from}`),
    );
    expect(found).toEqual([]);
  });

  test.each([
    "import { openStore } from '@signet/store';",
    "import { type Store, openStore as open } from '@signet/store';",
    "import * as bus from '@signet/bus';",
    "import '@signet/bus';",
    "import { connect } from 'node:net';",
  ])('a planted %s is caught', (line) => expect(engines(line)).toHaveLength(1));

  test.each([
    "import type { Collection } from '@signet/store';",
    "import { type Bus, BusError } from '@signet/bus';",
    "import { verifyPeer } from '@signet/pki';",
    "import { isIP } from 'node:net';",
  ])('%s is let through', (line) => expect(engines(line)).toEqual([]));
});

describe('of a service only main.ts touches the process', () => {
  test('and no other file does', () => {
    const found = services
      .filter((path) => !path.endsWith('/src/main.ts'))
      .flatMap((path) => processUses(read(path)).map((line) => `${path}:${line}`));
    expect(found).toEqual([]);
  });

  test.each([
    'process.exit(1);',
    'const { env } = process;',
    'globalThis.process.env.X;',
    "import process from 'node:process';",
  ])('a planted %s is caught', (line) => expect(processUses(line)).toHaveLength(1));

  test.each(['queue.process(job);', 'const step = { process: 1 };', '// process.exit'])(
    '%s is let through',
    (line) => expect(processUses(line)).toEqual([]),
  );
});
