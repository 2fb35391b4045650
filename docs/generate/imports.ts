import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Generator, page, table } from './document.ts';

const repository = join(import.meta.dirname, '..', '..');

type Cruise = {
  modules: { source: string; dependencies: { resolved: string }[] }[];
};

/** Which package imports which, and the rules that hold them to it. */
export const imports: Generator = {
  file: 'imports.md',
  generate: () => {
    const { forbidden } = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as {
      forbidden: { name: string; comment: string }[];
    };
    return page(
      'Imports',
      'Packages of this repository and what they import of each other, tests left out.',
      [
        `\`\`\`mermaid\nflowchart TD\n${edges().join('\n')}\n\`\`\``,
        'The rules, each shown to hold by a planted violation in `tests/structure`:',
        table(
          ['rule', 'says'],
          forbidden.map(({ name, comment }) => [`\`${name}\``, comment]),
        ),
      ],
    );
  },
};

function edges(): string[] {
  const bin = join(repository, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruiser.mjs');
  const args = [
    bin,
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    'libs',
    'services',
    'apps',
  ];
  const options = { cwd: repository, maxBuffer: 256 * 1024 * 1024, encoding: 'utf8' } as const;
  const { modules } = JSON.parse(cruise(args, options)) as Cruise;
  const found = modules
    .filter(({ source }) => !/\.test\.ts$|\/test\/|\/testing(\.ts$|\/)/.test(source))
    .flatMap(({ source, dependencies }) =>
      dependencies.map(({ resolved }) => [packageOf(source), packageOf(resolved)] as const),
    )
    .flatMap(([from, to]) => (from === undefined || to === undefined || from === to ? [] : [edge(from, to)]));
  return [...new Set(found)].sort();
}

/** dependency-cruiser prints its result also where it found a violation; that is for `npm run check:imports` to tell. */
function cruise(
  args: readonly string[],
  options: { cwd: string; maxBuffer: number; encoding: 'utf8' },
): string {
  try {
    return execFileSync(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

function packageOf(path: string): string | undefined {
  return /^((libs|services|apps)\/[^/]+)\//.exec(path)?.[1];
}

function edge(from: string, to: string): string {
  const node = (name: string) => `${name.replaceAll('/', '_').replaceAll('-', '_')}[${name}]`;
  return `  ${node(from)} --> ${node(to)}`;
}
