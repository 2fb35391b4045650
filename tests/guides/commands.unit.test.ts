import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../apps/cli/src/program.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = globSync(['README.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root });
const program = buildProgram({
  ...{ env: {}, stopped: new AbortController().signal },
  ...{ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr },
});

/** The word that is no command where it stands, or undefined. */
function unknownWord(words: readonly string[]): string | undefined {
  let command: Command = program;
  for (const word of words) {
    if (command.commands.length === 0) return undefined;
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) return word;
    command = next;
  }
  return undefined;
}

describe('commands that pages name', () => {
  it('has pages to look at, and finds what is none', () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(unknownWord(['ca', 'list'])).toBe('list');
  });

  it.each(pages)('are there: %s', (page) => {
    const text = readFileSync(join(root, page), 'utf8');
    // in code alone: `signet devices list`, or at the beginning of a line of a block
    const named = [
      ...text.matchAll(/(?:`|^ *|&& |\$\()(?:npx )?signet ((?:--json )?[a-z][a-z-]*(?: [a-z][a-z-]*)*)/gm),
    ];
    const unknown = named.flatMap(([, words = '']) => {
      const word = unknownWord(words.replace('--json ', '').split(' '));
      return word === undefined ? [] : [`signet ${words}: ${word}`];
    });
    expect(unknown).toEqual([]);
  });
});
