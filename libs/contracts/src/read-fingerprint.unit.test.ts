import { expect, test } from 'vitest';
import { readFingerprint } from './read-fingerprint.ts';

const hex = 'ab'.repeat(32);
const pairs = hex.toUpperCase().match(/../g)?.join(':') ?? '';

test.each([
  hex,
  pairs,
  `sha256 Fingerprint=${pairs}`,
  `SHA256 Fingerprint=${pairs}\n`,
  `SHA-256 fingerprint = ${pairs}`,
])('a fingerprint is read as openssl prints it: %s', (text) => {
  expect(readFingerprint(text)).toBe(hex);
});
