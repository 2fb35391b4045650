import { expect, test } from 'vitest';
import { certificateState } from './certificate-state.ts';

test.each([
  ['before its end', {}, 'live'],
  ['from its end on', { notAfter: '2026-01-01T00:00:00.000Z' }, 'expired'],
  [
    'revoked, also past its end',
    {
      notAfter: '2026-01-01T00:00:00.000Z',
      revokedAt: '2025-12-01T00:00:00.000Z',
      revocationReason: 'superseded' as const,
    },
    'superseded 2025-12-01T00:00:00.000Z',
  ],
  [
    'revoked with its device, in words of operators',
    { revokedAt: '2025-12-01T00:00:00.000Z', revocationReason: 'cessationOfOperation' as const },
    'revoked 2025-12-01T00:00:00.000Z',
  ],
])('a certificate is shown as what it is: %s', (_when, facts, state) => {
  const certificate = { notAfter: '2026-01-01T00:00:00.001Z', ...facts };
  expect(certificateState(certificate, Date.parse('2026-01-01T00:00:00Z'))).toBe(state);
});
