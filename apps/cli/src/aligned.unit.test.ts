import { expect, test } from 'vitest';
import { aligned } from './aligned.ts';

test('columns stand below each other, whatever is in them', () => {
  expect(
    aligned([
      ['id', 'name'],
      ['a', 'long name'],
      ['日本', 'x'],
      ['e\u0301', '\u001b[31mred\u001b[0m'],
      ['two\nlines', ''],
    ]).split('\n'),
  ).toEqual([
    ' id    │ name      ',
    ' a     │ long name ',
    ' 日本  │ x         ',
    ' e\u0301     │ \u001b[31mred\u001b[0m       ',
    ' two   │           ',
    ' lines │           ',
  ]);
});
