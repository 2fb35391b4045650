import { expect, it } from 'vitest';
import { outsideOf, parseNameConstraints } from './name-constraints.ts';

const subjectDer = Uint8Array.of(0x30, 0);
const none = { dns: [], uris: [], emails: [], ips: [], others: [] };
const excluded = [
  { form: 'dns', base: 'example.com' },
  { form: 'uri', base: '.example.com' },
  { form: 'email', base: 'example.com' },
  { form: 'ip', base: Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0) },
] as const;

it.each([
  ['a dot at the end', { dns: ['a.example.com.'] }],
  ['a wildcard that stands for it', { dns: ['*.com'] }],
  ['a wildcard below it', { dns: ['*.example.com'] }],
  ['a dot at the end of a host', { uris: ['https://a.example.com./'] }],
  ['a backslash before another host', { uris: ['https://a.example.com\\@x.org/'] }],
  ['an escaped dot', { uris: ['https://a%2eexample.com/'] }],
  ['a dot at the end of a mail host', { emails: ['a@example.com.'] }],
  ['an IPv4 address written as an IPv6 one', { ips: ['::ffff:10.1.1.1'] }],
] as const)('an excluded name does not pass by %s', (_how, names) => {
  expect(outsideOf({ permitted: [], excluded }, { subjectDer, sans: { ...none, ...names } })).toBeDefined();
});

it('names beside those that are excluded pass', () => {
  const sans = {
    ...none,
    dns: ['other.com', '*.other.com', 'com', '*.b.com'],
    uris: ['https://other.com:8443/x'],
    emails: ['a@other.com'],
    ips: ['11.1.1.1', '::ffff:11.1.1.1', 'fd00::1'],
  };
  expect(outsideOf({ permitted: [], excluded }, { subjectDer, sans })).toBeUndefined();
});

it.each([
  ['permitted', [0x30, 0x11, 0xa0, 0, 0xa1, 0x0d, 0x30, 0x0b, 0x82, 9, ...Buffer.from('x.example')]],
  ['excluded', [0x30, 0x11, 0xa0, 0x0d, 0x30, 0x0b, 0x82, 9, ...Buffer.from('x.example'), 0xa1, 0]],
] as const)('a list of %s names that is there and empty is malformed (RFC 5280 §4.2.1.10)', (_which, der) => {
  expect(() => parseNameConstraints(Uint8Array.from(der))).toThrow('a list without a subtree');
});
