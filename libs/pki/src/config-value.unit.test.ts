import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agreeWith, decryptConfigValue, encryptConfigValue, isEncryptedConfigValue } from './config-value.ts';

const device = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const spki = device.publicKey.export({ format: 'der', type: 'spki' });

test('F36: what is encrypted to a device’s key the device reads, whatever it is, and nobody else', () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (value) => {
      const sealed = encryptConfigValue(spki, value);
      expect(isEncryptedConfigValue(sealed)).toBe(true);
      expect(Buffer.from(decryptConfigValue(agreeWith(device.privateKey), sealed))).toEqual(
        Buffer.from(value),
      );
      expect(() => decryptConfigValue(agreeWith(other.privateKey), sealed)).toThrowError(
        'value: it is for another key, or was changed',
      );
    }),
    { numRuns: 20 },
  );
});

test('a value of which one octet was changed is not decrypted', () => {
  const sealed = Buffer.from(encryptConfigValue(spki, Buffer.from('a = 1')), 'base64');
  for (const at of [66, 82, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(() => decryptConfigValue(agreeWith(device.privateKey), changed.toString('base64'))).toThrowError(
      'value: it is for another key, or was changed',
    );
  }
});

test('plain text is not taken for an encrypted value; other keys than P-256 are refused by name', () => {
  for (const value of ['a = 1', '', Buffer.alloc(200).toString('base64')]) {
    expect(isEncryptedConfigValue(value)).toBe(false);
    expect(() => decryptConfigValue(agreeWith(device.privateKey), value)).toThrowError(
      'value: not encrypted to a P-256 key',
    );
  }
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey;
  expect(() =>
    encryptConfigValue(p384.export({ format: 'der', type: 'spki' }), Buffer.from('x')),
  ).toThrowError('key: config values are encrypted to P-256 keys only');
});
