import { createCsr, encodeName, generateKeyPair, type Name, parseCsr, parseName } from '@signet/pki';
import { describe, expect, it } from 'vitest';
import { defaultProfile, type Profile } from '../profile/profile.ts';
import { enrolledNames, renewedNames } from './subject.ts';

const device = { account: 'acme', deviceId: 'dev-1' };
const { privateKey } = generateKeyPair('P-256');
const csrOf = (subject: Name, sans: { uris?: string[]; dns?: string[] } = {}) =>
  parseCsr(createCsr({ subject, sans, privateKey }));
const uri = 'spiffe://signet.local/acme/device/dev-1';
const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe('the names of a first certificate', () => {
  const names = (subject: Name, kind: 'fixed' | 'keep', sans = {}, changes: Partial<Profile> = {}) =>
    enrolledNames(
      csrOf(subject, sans),
      device,
      { ...defaultProfile('acme', { validityDays: 90 }), subject: kind, ...changes },
      'signet.local',
    );

  it('are made of the device’s identity, whatever else the CSR says', () => {
    const { subjectDer, subjectAltNames } = names({ commonName: 'dev-1', organization: 'other' }, 'fixed', {
      dns: ['a.example'],
    });
    expect(parseName(subjectDer, 'subject')).toEqual({ commonName: 'dev-1', organization: 'acme' });
    expect(subjectAltNames).toEqual({ uris: [uri], dns: [], ips: [], emails: [], others: [] });
  });

  it('have what the profile’s template adds, with device, account and profile filled in', () => {
    const subjectAttributes = { organizationalUnit: '{profile} of {account}', serialNumber: 'SN-{device}' };
    const { subjectDer } = names({}, 'fixed', {}, { subjectAttributes });
    expect(parseName(subjectDer, 'subject')).toEqual({
      commonName: 'dev-1',
      organization: 'acme',
      organizationalUnit: 'default of acme',
      serialNumber: 'SN-dev-1',
    });
  });

  it('have the DNS names that the profile gives, and no other', () => {
    const sans = { dns: ['dev-1.acme.example', 'dev-2.acme.example', 'x.lab.example', 'x.y.lab.example'] };
    const dnsNames = ['{device}.{account}.example', '*.lab.example'];
    expect(names({}, 'fixed', sans, { dnsNames }).subjectAltNames.dns).toEqual([
      'dev-1.acme.example',
      'x.lab.example',
    ]);
    expect(() => names({}, 'fixed', sans, { dnsNames, otherNames: 'refuse' })).toThrow(
      expect.objectContaining({
        code: 'wrong-san',
        message: expect.stringContaining('"dev-2.acme.example", "x.y.lab.example"'),
      }),
    );
  });

  it('never have a wildcard that the CSR asks for under a pattern', () => {
    const sans = { dns: ['*.lab.example'] };
    expect(names({}, 'fixed', sans, { dnsNames: ['*.lab.example'] }).subjectAltNames.dns).toEqual([]);
  });

  it('need none in the CSR', () => {
    expect(parseName(names({}, 'fixed').subjectDer, 'subject').commonName).toBe('dev-1');
  });

  it('are the CSR’s own bytes where the profile keeps them and they name this device', () => {
    const subject = { commonName: 'dev-1', organization: 'acme', organizationalUnit: 'line 2' };
    expect(names(subject, 'keep').subjectDer).toEqual(encodeName(subject));
  });

  it.each([
    ['no CN', { organization: 'acme' }],
    ['no O', { commonName: 'dev-1' }],
    ['another account as O', { commonName: 'dev-1', organization: 'umbrella' }],
  ])('are refused where the profile keeps them and there is %s', (_, subject) => {
    expect(() => names(subject, 'keep')).toThrow(code('wrong-subject'));
  });

  it('may not be another device’s, in Subject or SAN', () => {
    expect(() => names({ commonName: 'dev-2' }, 'fixed')).toThrow(code('wrong-subject'));
    expect(() => names({}, 'fixed', { uris: ['spiffe://signet.local/acme/device/dev-2'] })).toThrow(
      code('wrong-san'),
    );
    expect(() => names({}, 'fixed', { uris: [uri] })).not.toThrow();
  });
});

describe('the names of a renewal (RFC 7030 §4.2.2)', () => {
  const current = csrOf({ commonName: 'dev-1', organization: 'acme' }, { uris: [uri] });

  it('are those of the current certificate, with or without SANs in the CSR', () => {
    for (const sans of [{}, { uris: [uri] }]) {
      const renewed = renewedNames(csrOf({ commonName: 'dev-1', organization: 'acme' }, sans), current);
      expect(renewed).toEqual({ subjectDer: current.subjectDer, subjectAltNames: current.sans });
    }
  });

  it('are compared by RFC 5280 §7.1: case and string type are nothing, an attribute more or less is', () => {
    const shouting = csrOf({ commonName: 'DEV-1', organization: 'Acme' });
    expect(renewedNames(shouting, current).subjectDer).toEqual(current.subjectDer);
    for (const subject of [{}, { commonName: 'dev-2', organization: 'acme' }, { commonName: 'dev-1' }])
      expect(() => renewedNames(csrOf(subject), current)).toThrow(code('wrong-subject'));
  });

  it('are refused with an added or a missing SAN', () => {
    const subject = { commonName: 'dev-1', organization: 'acme' };
    expect(() => renewedNames(csrOf(subject, { uris: [uri], dns: ['a.example'] }), current)).toThrow(
      expect.objectContaining({
        code: 'wrong-san',
        message: expect.stringContaining('adds dns:a.example; lacks nothing'),
      }),
    );
  });
});
