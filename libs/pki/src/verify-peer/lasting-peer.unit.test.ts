import { expect, it } from 'vitest';
import { createTestPki } from '../testing.ts';
import { lastingPeer } from './lasting-peer.ts';
import { verifyPeer } from './verify-peer.ts';

it('a peer whose session lasts is the same peer, its certificate read when it is asked for', () => {
  const pki = createTestPki();
  const { certificate } = pki.operational('acme', 'dev-1');
  const peer = verifyPeer({
    leaf: certificate.der,
    issuers: pki.issuers,
    purposes: ['operational'],
    now: Date.now(),
    denied: () => undefined,
  });
  if (!peer.ok) throw new Error(peer.message);
  const { certificate: _, ...known } = peer;
  const lasting = lastingPeer(peer);
  expect(lasting).toMatchObject(known);
  expect(lasting.certificate.fingerprint).toBe(certificate.fingerprint);
  expect(Object.keys(lasting)).not.toContain('certificate');
});
