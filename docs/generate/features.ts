import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { code, type Generator, page, table } from './document.ts';

const repository = join(import.meta.dirname, '..', '..');

/** A line of docs/features.md. */
export type Feature = { readonly number: number; readonly says: string; readonly expectsTests: boolean };
/** A test or a group of tests whose title carries feature numbers. */
export type FeatureTest = { readonly file: string; readonly title: string; readonly numbers: number[] };

/** Which tests show which feature: read from the titles, so that the table cannot name a test that is not there. */
export const features: Generator = {
  file: 'features.md',
  generate: () => {
    const tests = featureTests();
    const rows = listedFeatures().map((feature) => {
      const shown = tests.filter(({ numbers }) => numbers.includes(feature.number));
      return [`F${feature.number}`, feature.says, cell(feature, shown)];
    });
    return page(
      'Features and their tests',
      'Every line of [docs/features.md](../features.md), and the tests whose titles carry its number. All of them run in `npm test`; none is skipped.',
      [table(['', 'feature', 'tests'], rows)],
    );
  },
};

function cell({ expectsTests }: Feature, shown: readonly FeatureTest[]): string {
  if (shown.length === 0) return expectsTests ? '**no test**' : '–';
  const files = Map.groupBy(shown, ({ file }) => file);
  return [...files]
    .map(([file, { length }]) => `${code(file)}${length > 1 ? ` (${length})` : ''}`)
    .join(', ');
}

/** The features that docs/features.md lists, by number. */
export function listedFeatures(): readonly Feature[] {
  const text = readFileSync(join(repository, 'docs', 'features.md'), 'utf8');
  return [...text.matchAll(/^\| F(\d+) \| (.+) \|$/gm)]
    .map(([, number, says = '']) => ({
      number: Number(number),
      says,
      expectsTests: !/^(\*planned:\*|Out of scope:)/.test(says),
    }))
    .toSorted((a, b) => a.number - b.number);
}

/** Every title of a test or of a group of tests that carries a feature number; skipped ones do not count. */
export function featureTests(): readonly FeatureTest[] {
  const files = globSync('{libs,services,apps,tests,bench,deploy,docs,examples}/**/*.ts', {
    cwd: repository,
    exclude: (name) => name.includes('node_modules'),
  });
  return files
    .map((file) => file.replaceAll('\\', '/'))
    .toSorted()
    .flatMap((file) => {
      const text = readFileSync(join(repository, file), 'utf8');
      return /\bF\d/.test(text) && /\bfrom 'vitest'/.test(text) ? titlesIn(file, text) : [];
    });
}

function titlesIn(file: string, text: string): FeatureTest[] {
  const found: FeatureTest[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [first] = node.arguments;
      const callee = node.expression.getText(source);
      if (
        first !== undefined &&
        /^(?:it|test|describe)\b/.test(callee) &&
        !/\.(?:skip|todo)\b/.test(callee)
      ) {
        const title =
          ts.isStringLiteralLike(first) || ts.isTemplateExpression(first) ? first.getText(source) : '';
        const numbers = numbersIn(title);
        if (numbers.length > 0) found.push({ file, title: title.slice(1, -1), numbers });
      }
    }
    ts.forEachChild(node, visit);
  };
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  visit(source);
  return found;
}

/** `F19–F23` names all five. */
function numbersIn(title: string): number[] {
  return [...title.matchAll(/\bF(\d+)(?:[–-]F(\d+))?\b/g)].flatMap(([, from, to]) =>
    Array.from({ length: Number(to ?? from) - Number(from) + 1 }, (_, index) => Number(from) + index),
  );
}
