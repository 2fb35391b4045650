import ts from 'typescript';
import { describe, expect, it, test } from 'vitest';
import { read, sourcesBelow } from './source-files.ts';

/** The agent's clock: everything else asks it. */
const AGENT_CLOCK = 'apps/agent/src/clock.ts';

/**
 * Files that read the system's clock themselves, each to write a time down, to judge certificates by it, or to name
 * something. Waiting and ages are none of these: they are measured with `performance.now()`, which no setting of the
 * clock moves.
 */
const readers: Readonly<Record<string, string>> = {
  [AGENT_CLOCK]: 'the agent’s clock',
  'apps/cli/src/local-root.ts': 'dates of the certificates and CRLs that it makes',
  'apps/cli/src/demo/fleet.ts': 'the name of a run',
  'apps/cli/src/root-key.ts': 'the date of a key file',
  'apps/cli/src/commands/ca-replace.ts': 'dates of certificates',
  'apps/cli/src/commands/devices.ts': 'whether certificates have ended',
  'apps/cli/src/commands/platform.ts': 'whether certificates have ended',
  'services/admin-api/src/http/routes/denylist.ts': 'when an operator asked',
  'libs/bus/src/dead-record.ts': 'when an event was given up',
  'libs/bus/src/local/local-broker.ts': 'the age of stored messages',
  'libs/bus/src/local/replica.ts': 'the age of stored messages',
  'libs/bus/src/local/stored-messages.ts': 'the age of stored messages',
  'libs/bus/src/local/partition-consumer.ts': 'when a stored retry is due after a restart',
  'libs/sqlite/src/database.ts': 'what a probe writes',
  'libs/contracts/src/uuid.ts': 'the time in a UUIDv7',
};

type Use = { readonly line: number; readonly isHandedOn: boolean };

/** Where a source reads the system's clock: `Date.now()`, `new Date()`; or hands it on: `Date.now`. */
function clockUses(source: string): Use[] {
  // most files need not be parsed
  if (!/\bDate\b\s*\.\s*now\b|\bnew\b[\w\s.]*\bDate\b/.test(source)) return [];
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const found: Use[] = [];
  const visit = (node: ts.Node): void => {
    const isNew = ts.isNewExpression(node) && isDate(node.expression) && (node.arguments?.length ?? 0) === 0;
    const isNow = ts.isPropertyAccessExpression(node) && isDate(node.expression) && node.name.text === 'now';
    const isCalled =
      ts.isCallExpression(node.parent ?? node) && (node.parent as ts.CallExpression).expression === node;
    if (isNew || isNow)
      found.push({
        line: file.getLineAndCharacterOfPosition(node.getStart()).line + 1,
        isHandedOn: isNow && !isCalled,
      });
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function isDate(node: ts.Node): boolean {
  return (
    (ts.isIdentifier(node) && node.text === 'Date') ||
    (ts.isPropertyAccessExpression(node) && node.name.text === 'Date')
  );
}

const sources = ['apps', 'services', 'libs']
  .flatMap(sourcesBelow)
  .filter((path) => path.includes('/src/') && !/\/testing(\/|\.ts$)/.test(path));

describe('the system’s clock', () => {
  it('is read by the files that are listed here with their reason, and by no other', () => {
    const found = sources
      .filter((path) => readers[path] === undefined)
      .flatMap((path) =>
        clockUses(read(path)).flatMap(({ line, isHandedOn }) => (isHandedOn ? [] : [`${path}:${line}`])),
      );
    expect(found).toEqual([]);
  });

  it('of the agent is its clock file’s alone: nothing else so much as hands it on', () => {
    const found = sources
      .filter((path) => path.startsWith('apps/agent/') && path !== AGENT_CLOCK)
      .flatMap((path) => clockUses(read(path)).map(({ line }) => `${path}:${line}`));
    expect(found).toEqual([]);
  });

  it('is still read by every file that is listed', () => {
    expect(Object.keys(readers).filter((path) => clockUses(read(path)).length === 0)).toEqual([]);
  });

  test.each([
    'const due = Date.now() + waitMs;',
    'if (new Date() > until) go();',
    'const at = new globalThis.Date().toISOString();',
    'wait(globalThis.Date.now() - since);',
    'const today = new Date;',
  ])('a planted %s is caught', (line) =>
    expect(clockUses(line).filter(({ isHandedOn }) => !isHandedOn)).toHaveLength(1),
  );

  test.each(['new Date(at).toISOString();', 'performance.now();', 'clock.now();', '// Date.now()'])(
    '%s is let through',
    (line) => expect(clockUses(line)).toEqual([]),
  );

  test('a planted clock that is handed on is told apart', () =>
    expect(clockUses('start({ now: Date.now });')).toEqual([{ line: 1, isHandedOn: true }]));
});
