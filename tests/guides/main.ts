import { readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { needs } from './needs.ts';
import type { Failure } from './perform.ts';
import { runGuide } from './sandbox.ts';

/**
 * `npm run guide -- docs/guides/claim.md`: does what the page says, and shows it. With `--write` the page's output
 * becomes what came; read it before it is committed.
 */
const args = process.argv.slice(2);
const write = args.includes('--write');
const there = Object.entries(needs).flatMap(([name, need]) => ('never' in need ? [] : [name]));

for (const file of args.filter((arg) => !arg.startsWith('-')).map((arg) => resolve(arg))) {
  const { failures } = await runGuide(file, there, (text) => process.stdout.write(text));
  for (const { line, command, problem, expected } of failures) {
    if (write && expected !== undefined) continue;
    console.error(`\n${relative('.', file)}:${line}: ${command}\n${problem}`);
    if (expected !== undefined) console.error(`the page prints:\n${expected.text}`);
    process.exitCode = 1;
  }
  if (write) writeFileSync(file, withOutputs(readFileSync(file, 'utf8'), failures));
}

function withOutputs(page: string, failures: readonly Failure[]): string {
  const lines = page.split('\n');
  // from the end, so that lines before keep their numbers
  for (const { expected, got } of failures.toReversed()) {
    if (expected === undefined) continue;
    const indent = /^ */.exec(lines[expected.line - 1] ?? '')?.[0] ?? '';
    const printed = got.split('\n').map((line) => `${indent}${line}`.trimEnd());
    lines.splice(expected.line, expected.text.split('\n').length - 1, ...printed);
  }
  return lines.join('\n');
}
