import { checkPrimeSync, generateKeyPairSync, generatePrimeSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bitString, nullValue, oid, sequence, unsignedInteger } from './der/writer.ts';
import { checkKey, exportSpki, parseKey } from './keys.ts';

const bytes = (n: bigint) => {
  const hex = n.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
};
function spki(modulus: bigint, exponent = 65537n): Uint8Array {
  const key = sequence(unsignedInteger(bytes(modulus)), unsignedInteger(bytes(exponent)));
  return sequence(sequence(oid('1.2.840.113549.1.1.1'), nullValue()), bitString(key));
}
const refusal = (modulus: bigint, exponent?: bigint) => {
  try {
    checkKey(parseKey(spki(modulus, exponent)));
    return undefined;
  } catch (error) {
    return error;
  }
};
function hasFactor(n: bigint): boolean {
  for (let factor = 3n; factor < 752n; factor += 2n) if (n % factor === 0n) return true;
  return false;
}
const weak = (message: RegExp) =>
  expect.objectContaining({ code: 'weak-key', message: expect.stringMatching(message) });

describe('an RSA key is refused', () => {
  const modulus = BigInt(
    `0x${Buffer.from(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }).n ?? '', 'base64url').toString('hex')}`,
  );

  it('unless it is sound', () => {
    expect(refusal(modulus)).toBeUndefined();
    for (const modulusLength of [2048, 3072, 4096]) {
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength });
      expect(() => checkKey(parseKey(exportSpki(publicKey)))).not.toThrow();
    }
  });

  it('with a small or even exponent, or an even modulus (CA/Browser Forum BR §6.1.6)', () => {
    expect(refusal(modulus, 3n)).toEqual(weak(/exponent of 3/));
    expect(refusal(modulus, 65538n)).toEqual(weak(/exponent that is even/));
    expect(refusal(modulus + 1n)).toEqual(weak(/modulus that is even/));
  });

  it('with a small factor (NIST SP 800-89 §5.3.3)', () => {
    const multiple = (modulus / 751n) * 751n;
    expect(refusal(multiple % 2n === 0n ? multiple + 751n : multiple)).toEqual(weak(/small factor/));
  });

  it('whose factors lie close together', () => {
    let p = generatePrimeSync(1024, { bigint: true });
    p |= 1n << 1023n;
    while (!checkPrimeSync(p)) p += 2n;
    let q = p + 2n;
    while (!checkPrimeSync(q)) q += 2n;
    expect(refusal(p * q)).toEqual(weak(/Fermat/));
  });

  it('that a broken generator made (CVE-2017-15361)', () => {
    const primes = [3n];
    for (let n = 5n; n <= 167n; n += 2n) if (primes.every((one) => n % one !== 0n)) primes.push(n);
    const all = primes.reduce((product, one) => product * one, 1n);
    // leaves 65537^0 with each of them
    let n = (modulus / all) * all + 1n;
    while (n % 2n === 0n || hasFactor(n)) n += all;
    expect(refusal(n)).toEqual(weak(/ROCA/));
  });
});
