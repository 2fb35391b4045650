import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agreeWith, decryptConfigValue, encryptConfigValue, isEncryptedConfigValue } from './config-value.ts';

const device = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const spki = device.publicKey.export({ format: 'der', type: 'spki' });

test('F36: what is encrypted to a device’s key the device reads, whatever it is, and nobody else', async () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (value) => {
      const sealed = encryptConfigValue(spki, value);
      expect(isEncryptedConfigValue(sealed)).toBe(true);
      expect(Buffer.from(await decryptConfigValue(agreeWith(device.privateKey), sealed))).toEqual(
        Buffer.from(value),
      );
      await expect(decryptConfigValue(agreeWith(other.privateKey), sealed)).rejects.toThrowError(
        'value: it is for another key, or was changed',
      );
    }),
    { numRuns: 20 },
  );
});

test('a value of which one byte was changed is not decrypted', async () => {
  const sealed = Buffer.from(encryptConfigValue(spki, Buffer.from('a = 1')), 'base64');
  for (const at of [66, 82, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await expect(
      decryptConfigValue(agreeWith(device.privateKey), changed.toString('base64')),
    ).rejects.toThrowError('value: it is for another key, or was changed');
  }
});

test('a point that is not on the curve reaches no private key', async () => {
  const sealed = Buffer.from(encryptConfigValue(spki, Buffer.from('a = 1')), 'base64');
  sealed[40] = (sealed[40] ?? 0) ^ 1;
  const agree = () => expect.unreachable('the key was asked');
  await expect(decryptConfigValue(agree, sealed.toString('base64'))).rejects.toThrowError(
    'value: its key is no point of P-256',
  );
});

test('plain text is not taken for an encrypted value; other keys than P-256 are refused by name', async () => {
  for (const value of ['a = 1', '', Buffer.alloc(200).toString('base64')]) {
    expect(isEncryptedConfigValue(value)).toBe(false);
    await expect(decryptConfigValue(agreeWith(device.privateKey), value)).rejects.toThrowError(
      'value: not encrypted to a P-256 key',
    );
  }
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey;
  expect(() =>
    encryptConfigValue(p384.export({ format: 'der', type: 'spki' }), Buffer.from('x')),
  ).toThrowError('key: config values are encrypted to P-256 keys only');
});
