import { createTestPki } from '@signet/pki/testing';
import { expect, test } from 'vitest';
import type { AuthorityDocument } from '../../domain/authority/authority.ts';
import { trustBundle } from './trust-bundle.ts';

const pki = createTestPki();
const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);

function issuing(id: string, account: string, more: Partial<AuthorityDocument> = {}): AuthorityDocument {
  const { pem, certificate } = pki.issuing;
  return {
    ...{ id, account, kind: 'issuing', state: 'active', parent: 'root', certificate: pem },
    subjectKeyId: certificate.subjectKeyId ?? '',
    notAfter: new Date(start + 100 * day).toISOString(),
    createdAt: new Date(start).toISOString(),
    ...more,
  };
}

test('the bundle of an account with CAs of its own holds these alone, also when none is in force', () => {
  const shared = issuing('shared', 'signet');
  const own = issuing('own', 'acme', { createdAt: new Date(start + day).toISOString() });
  expect(trustBundle([shared], 'acme', start).keys).toHaveLength(1);
  expect(trustBundle([shared, own], 'acme', start + day).keys).toHaveLength(1);
  const disabled: AuthorityDocument = { ...own, state: 'disabled' };
  expect(trustBundle([shared, disabled], 'acme', start + day).keys).toEqual([]);
  expect(trustBundle([shared, disabled], 'rival', start + day).keys).toHaveLength(1);
});

test('spiffe_sequence grows with each change of the authorities, and only then', () => {
  const shared = issuing('shared', 'signet');
  const at = (documents: AuthorityDocument[], now: number) =>
    trustBundle(documents, 'acme', now).spiffe_sequence;
  const first = at([shared], start + day);
  expect(at([shared], start + 2 * day)).toBe(first);
  const own = issuing('own', 'acme', { createdAt: new Date(start + 3 * day).toISOString() });
  const second = at([shared, own], start + 3 * day);
  expect(second).toBeGreaterThan(first);
  const stateSince = new Date(start + 4 * day).toISOString();
  const third = at([shared, { ...own, state: 'disabled', stateSince }], start + 4 * day);
  expect(third).toBeGreaterThan(second);
  expect(at([shared, own], start + 100 * day)).toBeGreaterThan(third);
});
