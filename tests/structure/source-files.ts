import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export const repository = join(import.meta.dirname, '..', '..');

/** Paths, from the repository's top, of the TypeScript files below `folder` that are no tests. */
export function sourcesBelow(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith('.ts') && !/node_modules|\.test\.ts$|\/test\//.test(path))
    .sort();
}

export function read(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

export type ValueImport = { readonly from: string; readonly name: string };

/** Every name that a file imports as a value (`import type` and `import { type X }` left out). */
export function valueImports(source: string): ValueImport[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  return file.statements.filter(ts.isImportDeclaration).flatMap(({ importClause, moduleSpecifier }) => {
    const from = (moduleSpecifier as ts.StringLiteral).text;
    if (importClause === undefined) return [{ from, name: '*' }];
    if (importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return [];
    const bindings = importClause.namedBindings;
    const all = importClause.name === undefined ? [] : [{ from, name: 'default' }];
    if (bindings === undefined) return all;
    if (ts.isNamespaceImport(bindings)) return [...all, { from, name: '*' }];
    const named = bindings.elements.filter((element) => !element.isTypeOnly);
    return [...all, ...named.map((element) => ({ from, name: (element.propertyName ?? element.name).text }))];
  });
}

/** Lines of a file in which the global `process` is used. */
export function processUses(source: string): number[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const lines: number[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && node.text === 'process' && isGlobalUse(node)) {
      lines.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}

function isGlobalUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent))
    return parent.expression === node || isGlobalThis(parent.expression);
  const named = ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isParameter(parent);
  const declared =
    ts.isMethodDeclaration(parent) || ts.isFunctionDeclaration(parent) || ts.isVariableDeclaration(parent);
  return !((named || declared) && parent.name === node);
}

function isGlobalThis(node: ts.Expression): boolean {
  return ts.isIdentifier(node) && node.text === 'globalThis';
}
