import {
  createCsr,
  encodePem,
  generateKeyPair,
  nameConstraintsOf,
  outsideOf,
  parseCertificatePem,
} from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openOwnRoot } from './support/own-root.ts';
import { openVerifiers, type Verifiers, verifiersAreHere } from './support/verifiers.ts';

/** Constraints in openssl's words, names of the leaf, and whether it is within. */
const cases: readonly (readonly [string, string, boolean])[] = [
  ['permitted;DNS:acme.example', 'DNS:acme.example', true],
  ['permitted;DNS:acme.example', 'DNS:a.b.acme.example', true],
  ['permitted;DNS:acme.example', 'DNS:A.ACME.example', true],
  ['permitted;DNS:acme.example', 'DNS:notacme.example', false],
  ['permitted;DNS:acme.example', 'DNS:acme.example,DNS:other.example', false],
  ['permitted;DNS:acme.example', 'IP:10.0.0.1', true],
  ['permitted;DNS:acme.example,permitted;DNS:other.example', 'DNS:a.other.example', true],
  ['excluded;DNS:acme.example', 'DNS:dev.acme.example', false],
  ['excluded;DNS:acme.example', 'DNS:example', true],
  ['permitted;DNS:example,excluded;DNS:acme.example', 'DNS:acme.example', false],
  ['permitted;URI:signet.local', 'URI:spiffe://signet.local/acme/device/1', true],
  ['permitted;URI:signet.local', 'URI:spiffe://a.signet.local/acme/device/1', false],
  ['permitted;URI:.signet.local', 'URI:spiffe://a.signet.local/x', true],
  ['permitted;URI:.signet.local', 'URI:spiffe://signet.local/x', false],
  ['permitted;URI:signet.local', 'URI:https://SIGNET.local:8443/x?y', true],
  ['permitted;URI:signet.local', 'URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6', false],
  ['excluded;URI:signet.local', 'URI:spiffe://signet.local/x', false],
  ['excluded;URI:signet.local', 'URI:spiffe://other.local/x', true],
  ['permitted;URI:signet.local', 'URI:spiffe://10.0.0.1/x', false],
  ['permitted;IP:10.0.0.0/255.0.0.0', 'IP:10.1.2.3', true],
  ['permitted;IP:10.0.0.0/255.0.0.0', 'IP:11.1.2.3', false],
  ['excluded;IP:10.0.0.0/255.255.0.0', 'IP:10.0.9.9', false],
  ['permitted;IP:fd00::/ffff::', 'IP:fd00::1', true],
  ['permitted;IP:fd00::/ffff::', 'IP:fe80::1', false],
  ['permitted;IP:10.0.0.0/255.0.0.0', 'IP:fd00::1', false],
  ['permitted;email:acme.example', 'email:a@acme.example', true],
  ['permitted;email:acme.example', 'email:a@dev.acme.example', false],
  ['permitted;email:.acme.example', 'email:a@dev.acme.example', true],
  ['permitted;email:a@acme.example', 'email:a@ACME.example', true],
  ['permitted;email:a@acme.example', 'email:A@acme.example', false],
  ['excluded;email:acme.example', 'email:a@acme.example', false],
  ['permitted;dirName:dir', 'DNS:x', true],
  ['permitted;dirName:other', 'DNS:x', false],
  ['excluded;dirName:dir', 'DNS:x', false],
  ['permitted;RID:1.2.3', 'DNS:x', true],
];

describe.skipIf(!verifiersAreHere)(
  'name constraints of a CA (RFC 5280 §4.2.1.10)',
  { timeout: 300_000 },
  () => {
    let verifiers: Verifiers;
    beforeAll(async () => {
      verifiers = await openVerifiers();
    }, 300_000);
    afterAll(() => verifiers?.[Symbol.asyncDispose]());

    it.each(cases)('%s bounds %s as openssl and Go say', async (constraints, names, isWithin) => {
      await using root = await openOwnRoot('Bounded root', {
        extensions: [
          'basicConstraints=critical,CA:TRUE',
          `nameConstraints=critical,${constraints}`,
          ...['[dir]', 'O=acme', '[other]', 'O=other'],
        ],
      });
      const { privateKey } = generateKeyPair('P-256');
      const subject = { organization: 'Acme', commonName: 'dev-1' };
      const csr = encodePem('CERTIFICATE REQUEST', createCsr({ subject, privateKey }));
      const leaf = await root.sign(csr, {
        extensions: [
          'basicConstraints=critical,CA:FALSE',
          `subjectAltName=${names}`,
          'authorityKeyIdentifier=keyid',
        ],
      });
      const found = nameConstraintsOf(parseCertificatePem(root.certificate).extensions);
      if (found === undefined) throw new Error('no name constraints');
      const reason = outsideOf(found, parseCertificatePem(leaf));
      expect(reason === undefined, reason).toBe(isWithin);
      const said = await verifiers.verify({ leaf, between: [], anchors: [root.certificate] });
      expect(said.openssl === 'good', said.openssl).toBe(isWithin);
      // Go knows no constraints of other forms than these four, and takes a host for all below it as well
      const isBelow = /a\.signet|a@dev/.test(names);
      if (!/dirName|RID/.test(constraints)) expect(said.go === 'good', said.go).toBe(isWithin || isBelow);
    });
  },
);
