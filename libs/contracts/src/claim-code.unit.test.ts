import {
  ClaimCodeError,
  type ClaimCodeFault,
  claimCodeOf,
  claimUrl,
  parseClaimCode,
  parseScannedClaim,
} from '@signet/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const fingerprint = fc.stringMatching(/^[0-9a-f]{64}$/);
const ALPHABET = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'];
const place = fc.integer({ min: 0, max: 19 });

function faultOf(text: string): ClaimCodeFault | undefined {
  try {
    parseClaimCode(text);
    return undefined;
  } catch (error) {
    if (error instanceof ClaimCodeError) return error.code;
    throw error;
  }
}

const grouped = (chars: readonly string[]) => chars.join('').replaceAll(/.{5}(?!$)/g, '$&-');
const bare = (code: string) => [...code.replaceAll('-', '')];

describe('the claim code of a device', () => {
  test('is 20 characters in groups of five, and gives the beginning of the fingerprint back', () => {
    fc.assert(
      fc.property(fingerprint, (hex) => {
        const code = claimCodeOf(hex);
        expect(code).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{5}){3}$/);
        expect(parseClaimCode(code)).toEqual({ code, prefix: hex.slice(0, 22) });
      }),
    );
  });

  test('never changes: labels that were printed stay good', () => {
    expect(claimCodeOf('00'.repeat(32))).toBe('00000-00000-00000-00000');
    expect(claimCodeOf('0123456789abcdef'.repeat(4))).toMatchInlineSnapshot(`"014D2-PF2DB-SQQG2-8T5BN"`);
    expect(claimCodeOf('ff'.repeat(32))).toMatchInlineSnapshot(`"7ZZZZ-ZZZZZ-ZZZZZ-ZZZTA"`);
  });

  test('is read as people type it: lower case, spaces, O for 0, I and L for 1', () => {
    fc.assert(
      fc.property(fingerprint, (hex) => {
        const code = claimCodeOf(hex);
        const typed = code.toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l').replaceAll('-', '  ');
        expect(parseClaimCode(typed).code).toBe(code);
        expect(parseClaimCode(code.replaceAll('1', 'I').replaceAll('-', '')).code).toBe(code);
      }),
    );
  });

  test('finds every one or two wrong characters', () => {
    const wrong = fc.constantFrom(...ALPHABET);
    fc.assert(
      fc.property(fingerprint, place, wrong, place, wrong, (hex, i, a, j, b) => {
        const chars = bare(claimCodeOf(hex));
        const typed = chars.with(i, a).with(j, b);
        fc.pre(typed.join('') !== chars.join(''));
        expect(faultOf(grouped(typed))).toBe('bad-check');
      }),
      { numRuns: 2000 },
    );
  });

  test('finds every swap of two characters', () => {
    fc.assert(
      fc.property(fingerprint, place, place, (hex, i, j) => {
        const chars = bare(claimCodeOf(hex));
        const [a = '', b = ''] = [chars[i], chars[j]];
        fc.pre(a !== b);
        expect(faultOf(grouped(chars.with(i, b).with(j, a)))).toBe('bad-check');
      }),
    );
  });

  test.each([
    ['', 'wrong-length', 'claim code: 0 characters, not 20'],
    ['00000-00000-00000-0000', 'wrong-length', 'claim code: 19 characters, not 20'],
    ['00000-00000-00000-000000', 'wrong-length', 'claim code: 21 characters, not 20'],
    ['00000-00000-00000-0000U', 'bad-character', 'claim code: "U" is in no claim code'],
    ['00000-00000-00000-0000!', 'bad-character', 'claim code: "!" is in no claim code'],
    ['00000-00000-00000-00001', 'bad-check', 'claim code: a character is wrong; compare it with the label'],
  ])('refuses "%s" as %s', (text, code, message) => {
    expect(faultOf(text)).toBe(code);
    expect(() => parseClaimCode(text)).toThrow(message);
  });

  test('on a label is a URL of the console, and is read out of it', () => {
    const code = claimCodeOf('ab'.repeat(32));
    const url = claimUrl('https://console.example/', code);
    expect(url).toBe(`https://console.example/claim?code=${code}`);
    expect(parseScannedClaim(url).code).toBe(code);
    expect(parseScannedClaim(`https://console.example/claim?lang=de&code=${code}#x`).code).toBe(code);
    expect(parseScannedClaim(code).code).toBe(code);
    expect(() => parseScannedClaim('https://elsewhere.example/?code=00000')).toThrow(ClaimCodeError);
  });
});
