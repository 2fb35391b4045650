import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fingerprintOf, requireFingerprint } from './fingerprint.ts';

const folder = mkdtempSync(join(tmpdir(), 'signet-fingerprint-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a fingerprint', () => {
  it('is taken in hex, also as openssl prints it', async () => {
    const hex = '9f'.repeat(32);
    expect(await fingerprintOf(hex)).toBe(hex);
    expect(await fingerprintOf('9F:'.repeat(32).slice(0, -1))).toBe(hex);
  });

  it('is neither a claim code nor a cut one', async () => {
    expect(await fingerprintOf('014D2-PF2DB-SQQG2-8T5BN')).toBeUndefined();
    await expect(requireFingerprint('9f86...')).rejects.toThrow('not a fingerprint');
  });

  it('is not taken from a file that has no certificate, and the message names the file', async () => {
    const file = join(folder, 'bootstrap.key');
    writeFileSync(file, 'no PEM');
    await expect(fingerprintOf(file)).rejects.toThrow(`${file}: no certificate in PEM`);
    await expect(fingerprintOf(folder)).rejects.toThrow(/EISDIR/);
  });
});
