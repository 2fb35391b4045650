import { expect, it } from 'vitest';
import { AgentError, ownError } from './agent-error.ts';
import { duration, failureLines, lineOf } from './words.ts';

const now = Date.UTC(2026, 10, 29, 22, 30, 5, 123);

it('what the agent prints has times and durations that people read, and the claim code while it waits', () => {
  expect(lineOf({ step: 'waiting', seconds: 30, fingerprint: '00'.repeat(32) }, now)).toMatch(
    /^2026-11-29 22:30:05Z waiting: .* by its claim code 00000-00000-00000-00000, .*; asking again in 30 seconds$/,
  );
  expect(lineOf({ step: 'enrolled', notAfter: new Date(now + 90 * 86_400_000) }, now)).toBe(
    '2026-11-29 22:30:05Z enrolled: certificate until 2027-02-27 22:30:05Z (in 90 days)',
  );
  expect(lineOf({ step: 'retrying', seconds: 0.31, reason: 'est: away' }, now)).toBe(
    '2026-11-29 22:30:05Z retrying in less than a second: est: away',
  );
  expect(lineOf({ step: 'renewal-planned', at: new Date(now + 7_200_000), by: 'server' }, now)).toBe(
    '2026-11-29 22:30:05Z renewal-planned: 2026-11-30 00:30:05Z (in 2 hours), as the server suggests',
  );
  expect(lineOf({ step: 'connected' }, now)).toBe('2026-11-29 22:30:05Z connected');
  expect([999, 1400, 119_000, 120_000].map(duration)).toEqual([
    '1 second',
    '1 second',
    '119 seconds',
    '2 minutes',
  ]);
});

it('a failure is a line: the first of combined errors, a full disk with advice, never a stack trace', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    ...{ code: 'ENOSPC', syscall: 'write', path: '/d/rotation.json' },
  });
  const line =
    'signet-agent: disk: /d/rotation.json: no space left on the disk; free some, and the agent goes on (ENOSPC)';
  expect(failureLines(full)).toEqual([line]);
  const later = new Error('and closing failed too');
  expect(failureLines(new SuppressedError(new SuppressedError(later, later), full))).toEqual([line]);
  expect(failureLines(new AggregateError([full, later]))).toEqual([line]);
  expect(failureLines(new TypeError('x is not a function\n    at y'))).toEqual([
    'signet-agent: unexpected: TypeError: x is not a function',
  ]);
  expect(ownError(full)?.isPassing).toBe(true);
  expect(ownError(later)).toBeUndefined();
});

it.each([
  ['retired', 'revoked by an operator'],
  ['denied', 'blocked or revoked by an operator'],
  ['blocked', 'blocked by an operator'],
])('a refusal with "%s" says that an operator decided it', (refusal, words) => {
  const error = new AgentError('refused', 'bootstrap: 403 x: y', { status: 403, refusal });
  expect(failureLines(error)).toEqual([`signet-agent: refused: ${words}; bootstrap: 403 x: y`]);
});
