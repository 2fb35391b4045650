/**
 * What a guide has the reader do. Shell blocks are fences of the language `sh`, run from top to bottom; the fence says
 * what a reader sees from the text around it, in attributes that no renderer shows:
 *
 *     ```sh terminal=device until="connected"
 *
 * - `terminal=<name>`: another terminal than the first, opened in the clone
 * - `until="<text>"`: the last command goes on; the page does once it has printed this. The next block of its
 *   terminal begins with Ctrl-C
 * - `again`: looks again until the output is what the page prints
 * - `exit=<code>`: the last command ends so
 * - `needs=<name>,…`: of needs.ts
 *
 * A fence of the language `output` right after it is what it prints (compare.ts). A fence with `file=<path>` is what the
 * reader writes to that file, in the directory of the first terminal.
 */
export type Step = {
  /** Of the fence, from 1. */
  readonly line: number;
  readonly text: string;
  readonly needs: readonly string[];
} & (
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'shell';
      readonly terminal: string;
      readonly until?: string;
      readonly again: boolean;
      readonly exit: number;
      /** What the page prints as its output; undefined where it prints none. */
      output?: Printed;
    }
);

export type Printed = { readonly line: number; readonly text: string };

export type Guide = { readonly steps: readonly Step[]; readonly faults: readonly string[] };

type Fence = { readonly line: number; readonly info: string; readonly text: string };

/** Languages of blocks that are only looked at. */
const pictures = ['text', 'json', 'conf', 'nginx', 'toml', 'http'];
const attributesOf: Readonly<Record<'sh' | 'file' | 'output', readonly string[]>> = {
  sh: ['terminal', 'until', 'again', 'exit', 'needs'],
  file: ['file', 'needs'],
  output: [],
};

/** Reads a page. A block of which nobody can tell what it is, is a fault: it would be run by nobody. */
export function readGuide(markdown: string): Guide {
  const { fences, faults } = readFences(markdown);
  const steps: Step[] = [];
  let before: Step | undefined;
  for (const { line, info, text } of fences) {
    const [language = '', ...rest] = info.split(/\s+/);
    const attributes = new Map(
      [...info.slice(language.length).matchAll(/([a-z]+)(?:=(?:"([^"]*)"|(\S+)))?/g)].map(
        ([, name = '', quoted, plain]) => [name, quoted ?? plain ?? ''],
      ),
    );
    const kind = language === 'sh' || language === 'output' ? language : 'file';
    const picture = kind === 'file' && pictures.includes(language) && !attributes.has('file');
    const unknown = [...attributes.keys()].filter((name) => !attributesOf[kind].includes(name));
    if (unknown.length > 0) faults.push(`line ${line}: no such attribute here: ${unknown.join(', ')}`);
    const needs = attributes.get('needs')?.split(',') ?? [];
    if (language === 'sh') {
      const until = attributes.get('until');
      before = {
        ...{ kind: 'shell', line, text, needs, again: attributes.has('again') },
        terminal: attributes.get('terminal') ?? 'first',
        exit: Number(attributes.get('exit') ?? 0),
        ...(until === undefined ? {} : { until }),
      };
      steps.push(before);
    } else if (language === 'output') {
      if (before?.kind === 'shell') before.output = { line, text };
      else faults.push(`line ${line}: output of no shell block`);
      before = undefined;
    } else {
      before = undefined;
      if (attributes.has('file'))
        steps.push({ kind: 'file', line, text, needs, path: attributes.get('file') ?? '' });
      else if (!picture)
        faults.push(
          `line ${line}: a block of language "${[language, ...rest].join(' ')}"; give sh, output, a file, or one of ${pictures.join(', ')}`,
        );
    }
  }
  return { steps, faults };
}

/** Fenced code blocks (CommonMark 4.5), also in lists. Indented ones (4.4) are faults: they have no language. */
function readFences(markdown: string): { fences: Fence[]; faults: string[] } {
  const fences: Fence[] = [];
  const faults: string[] = [];
  let open: { line: number; indent: number; marks: string; info: string; text: string } | undefined;
  let blank = true;
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, indent = '', marks = '', info = ''] = /^( *)(```+)([^`]*)$/.exec(line) ?? [];
    if (open !== undefined) {
      if (marks.length >= open.marks.length && info.trim() === '') {
        fences.push({ line: open.line, info: open.info, text: open.text });
        open = undefined;
      } else open.text += `${line.replace(new RegExp(`^ {0,${open.indent}}`), '')}\n`;
    } else if (marks !== '') {
      open = { line: index + 1, indent: indent.length, marks, info: info.trim(), text: '' };
    } else if (blank && /^( {4}|\t)\s*\S/.test(line)) {
      faults.push(`line ${index + 1}: an indented block; give it a fence`);
    }
    blank = open === undefined && line.trim() === '';
  }
  if (open !== undefined) faults.push(`line ${open.line}: a fence without an end`);
  return { fences, faults };
}
