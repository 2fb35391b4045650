import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { createTestPki } from '@signet/pki/testing';
import { describe, expect, it } from 'vitest';
import type { AuthorityDocument } from './authority.ts';
import { authorityRing, type HeldAuthority, standingOf } from './ring.ts';

const pki = createTestPki();
const notAfter = '2036-01-01T00:00:00.000Z';
function held(kind: AuthorityDocument['kind'], changes: Partial<AuthorityDocument> = {}): HeldAuthority {
  const document: AuthorityDocument = {
    id: kind,
    kind,
    account: PLATFORM_ACCOUNT,
    state: 'active',
    certificate: pki.root.pem,
    parent: 'root',
    subjectKeyId: 'ab',
    notAfter,
    createdAt: notAfter,
    ...changes,
  };
  return { document, certificate: pki.root.certificate, signer: pki.root.signer };
}
const all = [held('root'), held('factory'), held('issuing'), held('server')];
const at = (time: string) => ({ now: Date.parse(time), withinDays: 180 });

describe('the ring of CAs', () => {
  it('gives an account its own CA, and all others the platform’s', () => {
    const ring = authorityRing([...all, held('issuing', { id: 'acme-ca', account: 'acme' })]);
    expect(ring.forAccount('acme', 'issuing').document.id).toBe('acme-ca');
    expect(ring.forAccount('umbrella', 'issuing').document.id).toBe('issuing');
  });

  it('issues nothing for an account whose own CA is disabled, below a disabled root, or without its key', () => {
    const own = held('issuing', { id: 'acme-ca', account: 'acme', parent: 'acme-root' });
    const root = held('root', { id: 'acme-root', account: 'acme', parent: 'acme-root' });
    const off = { state: 'disabled' } as const;
    const without = [
      authorityRing([...all, root, { ...own, document: { ...own.document, ...off } }]),
      authorityRing([...all, { ...root, document: { ...root.document, ...off } }, own]),
      authorityRing(all, [...all.map(({ document }) => document), own.document]),
    ];
    for (const ring of without)
      expect(() => ring.forAccount('acme', 'issuing')).toThrow(
        expect.objectContaining({ code: 'no-authority', message: expect.stringContaining('"acme"') }),
      );
    expect(without[2]?.missing()).toEqual(['acme-ca']);
  });

  it('counts for nothing a CA that its account keeps, or that is revoked', () => {
    const kept = held('issuing', { id: 'kept', account: 'acme', custody: 'elsewhere' });
    const revoked = held('issuing', { id: 'gone', account: 'acme', state: 'revoked' });
    expect(authorityRing([...all, kept, revoked]).forAccount('acme', 'issuing').document.id).toBe('issuing');
  });

  it('signs nothing with a CA that is disabled', () => {
    const ring = authorityRing([held('issuing', { state: 'disabled' })]);
    expect(() => ring.forAccount('acme', 'issuing')).toThrow(
      expect.objectContaining({ code: 'no-authority', message: expect.stringContaining('issuing') }),
    );
    expect(standingOf(ring, at('2026-01-01'))).toBe(
      'no key at hand of an active factory, issuing, server CA',
    );
  });

  it('is ready, and warns before certificates would outlive their CA', () => {
    expect(standingOf(authorityRing(all), at('2026-01-01'))).toBeUndefined();
    expect(standingOf(authorityRing(all), at('2035-09-01'))).toEqual({
      warning: expect.stringContaining(`CA "issuing" ends at ${notAfter}`),
    });
  });
});
