import { createPublicKey, type KeyObject } from 'node:crypto';
import type { ProfileChanges } from '@signet/contracts';
import { type CsrRequest, createCsr, EKU, generateKeyPair, parseCsr } from '@signet/pki';
import * as asn1 from 'asn1js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkCsrPolicy } from '../enrollment/csr-policy.ts';
import { csrAttributesOf } from './asked-attributes.ts';
import { checkProfile } from './check-profile.ts';
import { changed } from './keep-profiles.ts';
import { defaultProfile, type Profile, ProfileError } from './profile.ts';

const keys = {
  'P-256': generateKeyPair('P-256').privateKey,
  'P-384': generateKeyPair('P-384').privateKey,
  Ed25519: generateKeyPair('Ed25519').privateKey,
  RSA: generateKeyPair('RSA-2048').privateKey,
};
const profileOf = (settings: ProfileChanges) =>
  changed({ ...defaultProfile('acme', { validityDays: 90 }), id: 'acme.x', name: 'x' }, settings);

const OID = {
  challengePassword: '1.2.840.113549.1.9.7',
  extensionRequest: '1.2.840.113549.1.9.14',
  template: '1.2.840.113549.1.9.16.2.61',
};
const curves: Record<string, KeyObject> = {
  '1.2.840.10045.3.1.7': keys['P-256'],
  '1.3.132.0.34': keys['P-384'],
};
const algorithms: Record<string, CsrRequest['signatureAlgorithm']> = {
  '1.2.840.10045.4.3.2': 'ecdsa-with-SHA256',
  '1.2.840.10045.4.3.3': 'ecdsa-with-SHA384',
  '1.2.840.10045.4.3.4': 'ecdsa-with-SHA512',
  '1.2.840.113549.1.1.11': 'sha256WithRSAEncryption',
  '1.2.840.113549.1.1.12': 'sha384WithRSAEncryption',
  '1.2.840.113549.1.1.13': 'sha512WithRSAEncryption',
};

type Item = { readonly oid: string; readonly values: readonly asn1.BaseBlock[] };

/** `CsrAttrs` by another reader of ASN.1: every AttrOrOID. */
function itemsOf(der: Uint8Array): readonly Item[] {
  return children(read(der)).map(itemOf);
}

function read(der: Uint8Array): asn1.BaseBlock {
  const { offset, result } = asn1.fromBER(Uint8Array.from(der).buffer);
  expect(offset).toBe(der.length);
  return result;
}

function itemOf(block: asn1.BaseBlock): Item {
  if (block instanceof asn1.ObjectIdentifier) return { oid: block.valueBlock.toString(), values: [] };
  const [type, values] = children(block);
  return { oid: (type as asn1.ObjectIdentifier).valueBlock.toString(), values: children(values) };
}

function children(block: asn1.BaseBlock | undefined): asn1.BaseBlock[] {
  return [...((block?.valueBlock as { value?: asn1.BaseBlock[] } | undefined)?.value ?? [])];
}

const oidIn = (block: asn1.BaseBlock | undefined) => (block as asn1.ObjectIdentifier).valueBlock.toString();

function keyFor(oid: string, parameter: asn1.BaseBlock | undefined): KeyObject | undefined {
  if (oid === '1.2.840.10045.2.1') return curves[oidIn(parameter)];
  if (oid === '1.3.101.112') return keys.Ed25519;
  return oid === '1.2.840.113549.1.1.1' ? keys.RSA : undefined;
}

/** A client that does what it is asked and, where it is not asked, what it likes. */
function follow(der: Uint8Array): CsrRequest {
  const request: { -readonly [K in keyof CsrRequest]: CsrRequest[K] } = { privateKey: keys['P-256'] };
  const attributes: { oid: string; value: Uint8Array }[] = [];
  const take = ({ oid, values }: Item): void => {
    const key = keyFor(oid, values[0]);
    if (oid === OID.template) takeTemplate(values[0]);
    else if (oid === OID.challengePassword) request.challengePassword = 'binding';
    else if (oid === OID.extensionRequest)
      for (const extension of children(values[0])) {
        if (oidIn(children(extension)[0]) === '2.5.29.15') request.keyUsage = ['digitalSignature'];
        if (oidIn(children(extension)[0]) === '2.5.29.37') request.extKeyUsage = [EKU.clientAuth];
      }
    else if (key !== undefined) request.privateKey = key;
    else if (algorithms[oid] !== undefined) request.signatureAlgorithm = algorithms[oid];
    else attributes.push({ oid, value: new Uint8Array([0x13, 1, 0x31]) });
  };
  const takeTemplate = (template: asn1.BaseBlock | undefined): void => {
    for (const field of children(template).slice(1)) {
      const { tagClass, tagNumber } = field.idBlock;
      if (tagClass === 3 && tagNumber === 0) {
        const [type, parameter] = children(children(field)[0]);
        request.privateKey = keyFor(oidIn(type), parameter) ?? request.privateKey;
      } else if (tagClass === 3) children(field).map(itemOf).forEach(take);
      else request.subject = { commonName: 'dev-1', organization: 'acme' };
    }
  };
  itemsOf(der).forEach(take);
  return { ...request, attributes };
}

const kind = fc.constantFrom('P-256', 'P-384', 'Ed25519', 'RSA');
const algorithm = fc.constantFrom(
  ...([
    'ecdsa-with-SHA256',
    'ecdsa-with-SHA384',
    'ecdsa-with-SHA512',
    'Ed25519',
    'sha256WithRSAEncryption',
    'sha384WithRSAEncryption',
    'sha512WithRSAEncryption',
  ] as const),
);
const settings: fc.Arbitrary<ProfileChanges> = fc.record(
  {
    keyKinds: fc.uniqueArray(kind, { minLength: 1 }),
    signatureAlgorithms: fc.uniqueArray(algorithm, { minLength: 1 }),
    popLinking: fc.boolean(),
    subject: fc.constantFrom('fixed', 'keep'),
    csrAttributes: fc.constantFrom('list', 'template'),
    requiredExtensions: fc.uniqueArray(fc.constantFrom('keyUsage', 'extKeyUsage')),
    requiredAttributes: fc.uniqueArray(fc.constantFrom('1.3.6.1.1.1.1.22', '2.5.4.5', '1.3.6.1.4.1.99999.1')),
  },
  { requiredKeys: [] },
);
const bounds = {
  issuerOf: () => ({ id: 'issuing', notAfter: Date.now() * 2 }),
  unfitWebhook: () => undefined,
  now: Date.now(),
};

function isKept(profile: Profile): boolean {
  try {
    checkProfile(profile, bounds);
    return true;
  } catch (error) {
    if (error instanceof ProfileError) return false;
    throw error;
  }
}

describe('F80: CSR attributes made from the profile (RFC 7030 §4.5.2, RFC 9908)', () => {
  it('lead a client that follows them to a CSR that is never refused for its shape', () => {
    fc.assert(
      fc.property(settings, (wanted) => {
        const profile = profileOf(wanted);
        fc.pre(isKept(profile));
        const csr = parseCsr(createCsr(follow(csrAttributesOf(profile))));
        expect(() => checkCsrPolicy(csr, profile)).not.toThrow();
        if (profile.popLinking) expect(csr.challengePassword).toBe('binding');
        if (profile.subject === 'keep' && profile.csrAttributes === 'template')
          expect(csr.subject).toEqual({ commonName: 'dev-1', organization: 'acme' });
      }),
      { numRuns: 400 },
    );
  });

  it('are an empty SEQUENCE where nothing is asked', () => {
    expect([...csrAttributesOf(profileOf({}))]).toEqual([0x30, 0]);
  });

  it('name one key, the extension request once, and every attribute that is enforced', () => {
    const items = itemsOf(
      csrAttributesOf(
        profileOf({
          keyKinds: ['P-384', 'RSA'],
          popLinking: true,
          requiredExtensions: ['keyUsage', 'extKeyUsage'],
          requiredAttributes: ['1.3.6.1.1.1.1.22'],
        }),
      ),
    );
    expect(items.map(({ oid, values }) => [oid, values.length])).toEqual([
      [OID.challengePassword, 0],
      ['1.2.840.10045.2.1', 1],
      [OID.extensionRequest, 1],
      ['1.3.6.1.1.1.1.22', 0],
      ['1.2.840.10045.4.3.3', 0],
    ]);
    expect(oidIn(items[1]?.values[0])).toBe('1.3.132.0.34');
    expect(children(items[2]?.values[0])).toHaveLength(2);
  });

  it('are a template alone where the profile asks for it, an RSA key by a modulus of its size (RFC 9908 §3.4)', () => {
    const items = itemsOf(csrAttributesOf(profileOf({ csrAttributes: 'template', keyKinds: ['RSA'] })));
    expect(items.map(({ oid, values }) => [oid, values.length])).toEqual([[OID.template, 1]]);
    const [version, key, attributes, ...more] = children(items[0]?.values[0]);
    expect([(version as asn1.Integer).valueBlock.valueDec, children(attributes), more]).toEqual([0, [], []]);
    const bits = (children(key)[1] as asn1.BitString).valueBlock.valueHexView;
    const [modulus] = children(read(new Uint8Array(bits)));
    expect((modulus as asn1.Integer).valueBlock.valueHexView.length).toBe(2048 / 8 + 1);
    expect(createPublicKey(keys.RSA).asymmetricKeyDetails?.modulusLength).toBe(2048);
  });

  it.each<[string, ProfileChanges, Partial<CsrRequest>, RegExp]>([
    [
      'an extension',
      { requiredExtensions: ['keyUsage', 'extKeyUsage'] },
      { keyUsage: ['digitalSignature'] },
      /extensionRequest: lacks extKeyUsage/,
    ],
    [
      'an attribute',
      { requiredAttributes: ['1.3.6.1.1.1.1.22'] },
      {},
      /attributes: lacks 1\.3\.6\.1\.1\.1\.1\.22/,
    ],
  ])('are enforced: %s that is missing is refused, naming it', (_, wanted, request, message) => {
    const csr = parseCsr(createCsr({ privateKey: keys['P-256'], ...request }));
    expect(() => checkCsrPolicy(csr, profileOf(wanted))).toThrow(
      expect.objectContaining({ code: 'missing-attribute', message: expect.stringMatching(message) }),
    );
  });

  it('are enforced: a signature that is not allowed is refused, naming it', () => {
    const csr = parseCsr(createCsr({ privateKey: keys['P-384'] }));
    expect(() => checkCsrPolicy(csr, profileOf({ signatureAlgorithms: ['ecdsa-with-SHA512'] }))).toThrow(
      expect.objectContaining({
        code: 'weak-key',
        message: expect.stringMatching(/ecdsa-with-SHA384 is not allowed/),
      }),
    );
  });
});
