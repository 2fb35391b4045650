import { describe, expect, it } from 'vitest';
import { formatPkcs11Uri, parsePkcs11Uri } from './key-uri.ts';

describe('a PKCS#11 URI (RFC 7512)', () => {
  it('names token, object, library and PIN', () => {
    const text =
      'pkcs11:token=my%20token;object=root;type=private?module-path=/lib/p11.so&pin-source=file:/run/pin';
    expect(parsePkcs11Uri(text)).toEqual({
      token: 'my token',
      object: 'root',
      modulePath: '/lib/p11.so',
      pinSource: 'file:/run/pin',
    });
  });

  it('is stored without PIN and library', () => {
    const parsed = parsePkcs11Uri('pkcs11:token=a%3Bb;object=x?module-path=/lib/p11.so&pin-value=1234');
    expect(formatPkcs11Uri(parsed)).toBe('pkcs11:token=a%3Bb;object=x');
    expect(parsePkcs11Uri(formatPkcs11Uri(parsed))).toEqual({ token: 'a;b', object: 'x' });
  });

  it.each([
    ['file:/x', /begin with/],
    ['pkcs11:token', /has no value/],
    ['pkcs11:token=a;token=b', /occurs twice/],
    ['pkcs11:slot-id=1', /"slot-id" is not supported/],
    ['pkcs11:token=%zz', /percent-encoded/],
    ['pkcs11:token=a?x=1?y=2', /more than one/],
  ])('refuses %s', (text, message) => {
    expect(() => parsePkcs11Uri(text)).toThrow(
      expect.objectContaining({ code: 'bad-key-uri', message: expect.stringMatching(message) }),
    );
  });
});
