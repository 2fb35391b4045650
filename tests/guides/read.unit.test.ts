import { describe, expect, it } from 'vitest';
import { printed } from './compare.ts';
import { readGuide } from './read.ts';
import { commandsOf } from './terminal.ts';

const fence = '```';

describe('a page', () => {
  it('is shell blocks with their output, and files, in order', () => {
    const page = `# Page\n\n${fence}sh terminal=device until="is ready"\nnpm start\n${fence}\n\n${fence}output\nready\n${fence}
1. in a list:\n   ${fence}json file=users.json needs=tpm,root\n   [\n     1\n   ]\n   ${fence}\n`;
    const { steps, faults } = readGuide(page);
    expect(faults).toEqual([]);
    expect(steps).toEqual([
      {
        ...{ kind: 'shell', line: 3, text: 'npm start\n', needs: [], terminal: 'device', until: 'is ready' },
        ...{ again: false, exit: 0, output: { line: 7, text: 'ready\n' } },
      },
      { kind: 'file', line: 11, text: '[\n  1\n]\n', needs: ['tpm', 'root'], path: 'users.json' },
    ]);
  });

  it.each([
    ['a block without a language', `${fence}\nnpx signet status\n${fence}`],
    ['a shell by another name', `${fence}bash\nnpx signet status\n${fence}`],
    ['an indented block', 'Text:\n\n    npx signet status\n'],
    ['an attribute that means nothing', `${fence}sh untill=ready\nnpm start\n${fence}`],
    ['output of nothing', `${fence}output\nready\n${fence}`],
    ['a block without an end', `${fence}sh\nnpm start\n`],
  ])('has a fault where it has %s, which nobody would run', (_what, page) => {
    expect(readGuide(page).faults).toHaveLength(1);
  });
});

describe('a block', () => {
  it('is cut into commands as a shell takes them, each with its line', () => {
    const block = `mkdir a   # a comment\n\ncat > a/b <<'SH'\nif true\nSH\nfor i in 1 2; do\n  echo $i\ndone\necho a \\\n  b | cat\n# end\n`;
    expect(commandsOf(block, 10).map(({ line, text }) => [line, text.split('\n')[0]])).toEqual([
      [10, 'mkdir a   # a comment'],
      [12, "cat > a/b <<'SH'"],
      [15, 'for i in 1 2; do'],
      [18, 'echo a \\'],
    ]);
  });
});

describe('output', () => {
  it.each([
    ['pump-1 is reset', 'pump-1 is reset\n', true],
    ['pump-1 is reset', 'pump-2 is reset\n', false],
    ['pump-1 is reset', 'pump-1 is reset\nand more\n', false],
    ['pump-1 is reset\n…', 'pump-1 is reset\nand more\n', true],
    ['sent to … at last', 'sent to a.b (c) at last\n', true],
    ['a.b', 'axb\n', false],
    ['cut after 12 ms', 'cut after 431 ms\n', true],
    ['at 2026-01-01T00:00:00Z', 'at 2027-02-27T22:29:48.123Z\n', true],
    [' id  │ state\n 1   │ live', ' id │ state \n 1  │ live  \n', true],
    ['', 'something\n', false],
  ])('%j says %j: %s', (page, output, same) => {
    expect(printed(page, output)).toBe(same);
  });
});
