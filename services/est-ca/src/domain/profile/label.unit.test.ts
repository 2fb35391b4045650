import { describe, expect, it } from 'vitest';
import { estOperations } from '../est/est-operation.ts';
import { labelOf, parseLabel } from './profile.ts';

describe('an EST label', () => {
  it('is an account, or an account and a profile', () => {
    expect(parseLabel('acme')).toEqual({ id: 'acme', account: 'acme', profile: 'default' });
    expect(parseLabel('acme.line-2')).toEqual({ id: 'acme.line-2', account: 'acme', profile: 'line-2' });
    expect(parseLabel('acme.default')).toEqual(parseLabel('acme'));
  });

  it('is not the name of an operation (RFC 7030 §3.2.2)', () => {
    for (const operation of estOperations.keys()) expect(parseLabel(operation)).toBeUndefined();
  });

  it.each(['', '.', 'acme.', '.x', 'acme.a.b', 'Acme', 'acme.X', 'signet', 'signet.x', 'a'.repeat(41)])(
    'is not "%s"',
    (text) => {
      expect(parseLabel(text)).toBeUndefined();
    },
  );

  it('is made of the same parts', () => {
    expect([labelOf('acme', undefined), labelOf('acme', 'default'), labelOf('acme', 'x')]).toEqual([
      'acme',
      'acme',
      'acme.x',
    ]);
  });
});
