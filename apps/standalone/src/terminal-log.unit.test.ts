import { expect, test } from 'vitest';
import { sentence } from './terminal-log.ts';

test.each([
  [
    {
      level: 'error',
      time: 't',
      service: 'signet',
      err: { message: 'ENOSPC: no space\nleft', stack: 'at x' },
      msg: 'log: not written',
    },
    'signet: log: not written: ENOSPC: no space left\n',
  ],
  [
    { level: 'warn', instance: 'a-1', msg: 'CRL is late', authorityId: 'ca-1', entries: [1] },
    'signet: warning: CRL is late (authorityId ca-1)\n',
  ],
])('a person at the terminal reads a sentence, not JSON with a stack: %j', (line, said) => {
  expect(sentence(`${JSON.stringify(line)}\n`)).toBe(said);
});

test('what is no JSON stays as it is', () => {
  expect(sentence('2 lines are lost\n')).toBe('2 lines are lost\n');
});
