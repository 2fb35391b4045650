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
