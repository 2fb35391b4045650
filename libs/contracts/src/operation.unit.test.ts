import { expect, test } from 'vitest';
import * as contracts from './index.ts';

test('no two operations have one name: each would get the other’s requests', () => {
  const names = Object.values(contracts as Record<string, unknown>).flatMap((each) =>
    typeof each === 'object' && each !== null && 'output' in each && 'name' in each
      ? [String(each.name)]
      : [],
  );
  expect(names.length).toBeGreaterThan(50);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});
