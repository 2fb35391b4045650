import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { read, sourcesBelow } from './source-files.ts';

/**
 * Files that read JSON by themselves, because it is the platform's own. Whatever a device, an operator or a server that
 * an operator named has sent is read by `readForeignJson`.
 */
const own: Readonly<Record<string, string>> = {
  'libs/contracts/src/foreign-json.ts': 'the one function, after its checks',
  'libs/bus/src/read-json.ts': 'messages between services, after a check of their depth',
  'libs/bus/src/operation-codec.ts': 'the output of a handler of this process',
  'libs/bus/src/nats/pipeline.ts': 'answers of the NATS server itself',
  'libs/service/src/running-platform/index.ts': 'a notice that the platform keeps in its data folder',
  'libs/service/src/trust.ts': 'a copy that this process keeps in its data folder',
  'libs/store/src/sqlite/sqlite-table.ts': 'documents and events that the store wrote',
  'services/admin-api/src/domain/idempotency/answer-once.ts':
    'an answer of this service, which it sealed itself',
  'services/admin-api/src/adapters/audit-spool.ts': 'lines that this service wrote to its data folder',
  'services/mqtt-broker/src/adapters/redis-sessions.ts': 'records that a broker node wrote',
  'services/mqtt-broker/src/adapters/redis-scripts.ts': 'messages that a broker node wrote',
  'services/mqtt-broker/src/adapters/sqlite-sessions.ts': 'records that this node wrote',
  'services/mqtt-broker/src/rpc/account-policies.ts': 'a copy that this process keeps in its data folder',
};
/** Drives the platform in tests and benches. */
const testing = /^libs\/dev-env\/|\/testing\//;

/** Lines that parse JSON by themselves: `JSON.parse`, however it is passed around, and `.json()` of an answer. */
function bareReads(source: string): number[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const lines: number[] = [];
  const visit = (node: ts.Node): void => {
    const isParse =
      ts.isPropertyAccessExpression(node) &&
      node.name.text === 'parse' &&
      ts.isIdentifier(node.expression) &&
      node.expression.text === 'JSON';
    const isTaken =
      ts.isVariableDeclaration(node) && node.initializer !== undefined && ts.isIdentifier(node.initializer)
        ? node.initializer.text === 'JSON'
        : false;
    const isAnswer =
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      node.expression.name.text === 'json' &&
      node.arguments.length === 0 &&
      !(ts.isIdentifier(node.expression.expression) && node.expression.expression.text === 'z');
    if (isParse || isTaken || isAnswer)
      lines.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}

describe('JSON of strangers is read by one function', () => {
  const sources = [...sourcesBelow('services'), ...sourcesBelow('libs')].filter(
    (path) => path.includes('/src/') && !testing.test(path),
  );

  test('and no other file of the services and their libraries reads any', () => {
    const found = sources
      .filter((path) => !Object.hasOwn(own, path))
      .flatMap((path) => bareReads(read(path)).map((line) => `${path}:${line}`));
    expect(found).toEqual([]);
  });

  test('every exception still reads some', () => {
    const idle = Object.keys(own).filter((path) => bareReads(read(path)).length === 0);
    expect(idle).toEqual([]);
  });

  test.each([
    'const x = JSON.parse(body);',
    'bodies.map(JSON.parse);',
    'const { parse } = JSON;',
    'const answer = await response.json();',
  ])('the watch sees: %s', (source) => {
    expect(bareReads(source)).toEqual([1]);
  });
});
