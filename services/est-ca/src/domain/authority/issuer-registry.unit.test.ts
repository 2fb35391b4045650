import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { issuerFrom } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import { describe, expect, it } from 'vitest';
import type { AuthorityDocument } from './authority.ts';
import { issuerRegistry, registryStatus, type SigningCa } from './issuer-registry.ts';

const pki = createTestPki();
const notAfter = '2036-01-01T00:00:00.000Z';
function held(kind: AuthorityDocument['kind'], changes: Partial<AuthorityDocument> = {}): SigningCa {
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
  const { certificate, signer } = pki.root;
  return { document, certificate, signer, issuer: issuerFrom(certificate) };
}
const all = [held('root'), held('factory'), held('issuing'), held('server')];
const at = (time: string) => ({ now: Date.parse(time), withinDays: 180 });

describe('the issuer registry', () => {
  it('gives an account its own CA, and all others the platform’s', () => {
    const registry = issuerRegistry([...all, held('issuing', { id: 'acme-ca', account: 'acme' })]);
    expect(registry.forAccount('acme', 'issuing').document.id).toBe('acme-ca');
    expect(registry.forAccount('umbrella', 'issuing').document.id).toBe('issuing');
  });

  it('issues nothing for an account whose own CA is disabled, below a disabled root, or without its key', () => {
    const own = held('issuing', { id: 'acme-ca', account: 'acme', parent: 'acme-root' });
    const root = held('root', { id: 'acme-root', account: 'acme', parent: 'acme-root' });
    const off = { state: 'disabled' } as const;
    const changed = (changes: Partial<AuthorityDocument>) =>
      issuerRegistry(
        [...all, root, { ...own, document: { ...own.document, ...changes } }],
        undefined,
        () => Date.parse(notAfter) - 1,
      );
    const without = [
      changed(off),
      changed({ state: 'revoked' }),
      changed({ notAfter: '2035-01-01T00:00:00.000Z' }),
      issuerRegistry([...all, { ...root, document: { ...root.document, ...off } }, own]),
    ];
    const about = (code: string) =>
      expect.objectContaining({ code, message: expect.stringContaining('"acme"') });
    for (const registry of without) {
      expect(() => registry.forAccount('acme', 'issuing')).toThrow(about('own-ca-out-of-force'));
      expect(registry.troubles().join()).toContain('account "acme" gets nothing of kind issuing');
    }
    expect(without[3]?.troubles()).toContain(
      'CA "acme-ca" is out of force: "acme-root" above it is disabled',
    );
    const away = issuerRegistry(all, [...all.map(({ document }) => document), own.document]);
    expect(() => away.forAccount('acme', 'issuing')).toThrow(about('no-authority'));
    expect(away.missing()).toEqual(['acme-ca']);
  });

  it('does not complain of a CA that has ended below a root that was replaced, or whose key is gone', () => {
    const gone = held('root', { id: 'root-1', parent: 'root-1', state: 'disabled' });
    const below = held('issuing', {
      id: 'issuing-1',
      parent: 'root-1',
      notAfter: '2030-01-01T00:00:00.000Z',
    });
    const keyless = held('issuing', { id: 'issuing-2', notAfter: '2031-01-01T00:00:00.000Z' });
    const known = [gone, below, keyless, ...all].map(({ document }) => document);
    const ringAt = (time: string) => issuerRegistry([gone, below, ...all], known, () => Date.parse(time));
    expect(ringAt('2029-01-01').troubles()).toHaveLength(1);
    expect(ringAt('2029-01-01').missing()).toEqual(['issuing-2']);
    expect(registryStatus(ringAt('2032-01-01'), at('2032-01-01'))).toBeUndefined();
  });

  it('lets the platform’s step in by an operator’s word of each of them, and not while a key is not at hand', () => {
    const fallBack = { at: notAfter, by: 'ada' };
    const own = (id: string, changes: Partial<AuthorityDocument>) =>
      held('issuing', { id, account: 'acme', ...changes });
    const gone = own('gone', { state: 'revoked', fallBack });
    expect(issuerRegistry([...all, gone]).forAccount('acme', 'issuing').document.id).toBe('issuing');
    const off = own('off', { state: 'disabled' });
    expect(() => issuerRegistry([...all, gone, off]).forAccount('acme', 'issuing')).toThrow(
      expect.objectContaining({ code: 'own-ca-out-of-force' }),
    );
    const known = [...all, gone, own('away', { fallBack })].map(({ document }) => document);
    expect(() => issuerRegistry(all, known).forAccount('acme', 'issuing')).toThrow(
      expect.objectContaining({ code: 'no-authority' }),
    );
  });

  it('counts for nothing a CA that its account keeps', () => {
    const kept = held('issuing', { id: 'kept', account: 'acme', custody: 'elsewhere' });
    expect(issuerRegistry([...all, kept]).forAccount('acme', 'issuing').document.id).toBe('issuing');
  });

  it('signs nothing with a CA that is disabled', () => {
    const registry = issuerRegistry([held('issuing', { state: 'disabled' })]);
    expect(() => registry.forAccount('acme', 'issuing')).toThrow(
      expect.objectContaining({ code: 'no-authority', message: expect.stringContaining('issuing') }),
    );
    expect(registryStatus(registry, at('2026-01-01'))).toBe(
      'no active factory, issuing, server CA that can sign',
    );
  });

  it('is ready, and warns before certificates would outlive their CA', () => {
    expect(registryStatus(issuerRegistry(all), at('2026-01-01'))).toBeUndefined();
    expect(registryStatus(issuerRegistry(all), at('2035-09-01'))).toEqual({
      warning: expect.stringContaining(`CA "issuing" ends at ${notAfter}`),
    });
  });
});
