import { BusError } from '@signet/bus';
import { OperationError } from '@signet/contracts';
import { StoreError } from '@signet/store';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Problem } from './problem.ts';
import { problemOf } from './problem-of.ts';

test.each([
  [
    'a problem, as it is',
    new Problem(409, 'illegal-transition', 'blocked → claimed'),
    409,
    'illegal-transition',
  ],
  [
    'wrong input of an operation',
    new OperationError('invalid-input', 'csr: no', { field: 'csr' }),
    400,
    'invalid-input',
  ],
  ['a service that nobody serves', new OperationError('unavailable', 'nobody serves it'), 503, 'unavailable'],
  ['a service that is too slow', new OperationError('deadline-exceeded', '5 s'), 503, 'unavailable'],
  ['a store that is unavailable', new StoreError('unavailable', 'connection refused'), 503, 'unavailable'],
  ['a bus that is unavailable', new BusError('unavailable', 'connection refused'), 503, 'unavailable'],
  ['a cursor that was not given out', new StoreError('wrong-cursor', 'cursor: no'), 400, 'invalid-input'],
  ['an operation code that no route expected', new OperationError('third-key', 'x'), 500, 'internal'],
  ['anything else', new TypeError('password=hunter2'), 500, 'internal'],
  ['what is not even an error', 'oops', 500, 'internal'],
] as const)('answers %s', (_what, error, status, code) => {
  const problem = problemOf(error);
  expect(problem).toMatchObject({ status, code });
  if (status >= 500) expect(problem.message).not.toContain((error as Error).message ?? error);
  expect(problem.retryAfter).toBe(status === 503 ? 5 : undefined);
});

test('wrong input names the field and every reason', () => {
  const { error } = z.object({ a: z.string('must be text'), b: z.number('must be a number') }).safeParse({});
  expect(problemOf(error).toJSON()).toEqual({
    type: 'about:blank',
    title: 'Bad Request',
    status: 400,
    code: 'invalid-input',
    detail: 'a: must be text; b: must be a number',
    field: 'a',
  });
});
