import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCertificatePem } from '../certificate.ts';
import { der, sequence } from '../der/writer.ts';
import { createTestPki } from '../testing/test-pki.ts';
import { createCrl } from './create-crl.ts';
import type { CrlEntry } from './crl.ts';
import { CrlFile, type CrlHead } from './crl-file.ts';
import { parseCrl } from './parse-crl.ts';

const LIMIT = 128 * 1024 * 1024;
const execute = promisify(execFile);
const pki = createTestPki();
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crl-file-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function kept(bytes: Uint8Array): Promise<string> {
  const path = join(folder, 'list.crl');
  await writeFile(path, bytes);
  return path;
}

async function entriesOf(file: CrlFile): Promise<CrlEntry[]> {
  const all: CrlEntry[] = [];
  for await (const batch of file.entries()) all.push(...batch);
  return all;
}

/** The same, whatever kind of bytes it holds. */
const plain = ({ issuerDer, signature, ...head }: CrlHead) => ({
  ...head,
  issuerDer: Buffer.from(issuerDer).toString('hex'),
  signature: Buffer.from(signature).toString('hex'),
});

const entries = (count: number): CrlEntry[] =>
  Array.from({ length: count }, (_, n) => ({
    serialNumber: (0x10_0000_0000 + n)
      .toString(16)
      .padStart(16, '0')
      .replace(/^(00)+/, ''),
    revokedAt: 1_700_000_000_000,
    ...(n % 3 === 0 ? { reason: 'keyCompromise' as const } : {}),
  }));

async function signed(count: number): Promise<Uint8Array> {
  return createCrl({
    issuer: pki.issuing.certificate,
    signer: pki.issuing.signer,
    number: 7,
    thisUpdate: Date.now(),
    nextUpdate: Date.now() + 86_400_000,
    entries: entries(count),
  });
}

describe('a CRL read from a file in pieces', () => {
  it('says what the whole of it says, whatever its size', async () => {
    for (const count of [0, 1, 40_000]) {
      const bytes = await signed(count);
      const whole = parseCrl(bytes);
      await using file = await CrlFile.open(await kept(bytes), LIMIT);
      const { tbsDer: _, entries: all, ...head } = whole;
      expect(plain(file.head)).toEqual(plain(head));
      expect(await entriesOf(file)).toEqual(all);
      expect(await file.isSignedBy(pki.issuing.certificate)).toBe(true);
      expect(await file.isSignedBy(pki.factory.certificate)).toBe(false);
    }
  });

  it('whose signature does not fit is signed by nobody', async () => {
    const bytes = Buffer.from(await signed(1000));
    const at = bytes.length - 20;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await using file = await CrlFile.open(await kept(bytes), LIMIT);
    expect(await file.isSignedBy(pki.issuing.certificate)).toBe(false);
  });

  it('is refused where it is too large, cut off, no DER, or has more behind it', async () => {
    const bytes = await signed(10_000);
    await expect(CrlFile.open(await kept(bytes), 1000)).rejects.toMatchObject({ code: 'too-large' });
    for (const bad of [
      bytes.subarray(0, bytes.length - 1),
      bytes.subarray(0, 5),
      Buffer.concat([bytes, Buffer.from([0])]),
      Buffer.from([0x30, 0x80, 0, 0]),
      Buffer.from('<html>'),
      Buffer.alloc(0),
      der(0x30, sequence(sequence()), sequence()),
    ])
      await expect(CrlFile.open(await kept(bad), LIMIT)).rejects.toMatchObject({ code: 'malformed' });
  });

  it('reads what openssl signs with RSA and with Ed25519', async () => {
    for (const key of [['rsa:2048'], ['ed25519']]) {
      const run = (...args: string[]) => execute('openssl', args, { cwd: folder });
      const settings = '[ca]\ndefault_ca=x\n[x]\ndatabase=i\ncrlnumber=n\ncertificate=c\nprivate_key=k\n';
      await writeFile(join(folder, 'f'), `${settings}default_md=default\n[req]\ndistinguished_name=d\n[d]\n`);
      await writeFile(
        join(folder, 'i'),
        'R\t300101000000Z\t250101000000Z,superseded\t1234\tunknown\t/CN=x\n',
      );
      await writeFile(join(folder, 'n'), '05\n');
      const made = ['-x509', '-nodes', '-keyout', 'k', '-out', 'c', '-subj', '/CN=ca'];
      await run('req', '-config', 'f', '-newkey', ...key, ...made);
      await run('ca', '-config', 'f', '-gencrl', '-crldays', '1', '-out', 'p');
      await run('crl', '-in', 'p', '-outform', 'DER', '-out', 'list.crl');
      await using handle = await open(join(folder, 'c'));
      const issuer = parseCertificatePem(await handle.readFile('utf8'));
      await using file = await CrlFile.open(join(folder, 'list.crl'), LIMIT);
      expect(await file.isSignedBy(issuer)).toBe(true);
      expect(await entriesOf(file)).toMatchObject([{ serialNumber: '1234', reason: 'superseded' }]);
    }
  });

  it('F30: a million entries are read in 8 MB', async () => {
    const bytes = await signed(1_000_000);
    const path = await kept(bytes);
    const { stdout } = await execute(process.execPath, [
      '--expose-gc',
      '--input-type=module-typescript',
      '-e',
      `import { CrlFile } from ${JSON.stringify(join(import.meta.dirname, 'crl-file.ts'))};
       const file = await CrlFile.open(${JSON.stringify(path)}, ${LIMIT});
       const held = () => { gc(); const { heapUsed, arrayBuffers } = process.memoryUsage(); return heapUsed + arrayBuffers; };
       const before = held();
       let count = 0, most = 0, batches = 0;
       for await (const batch of file.entries()) {
         count += batch.length;
         if (batches++ % 16 === 0) most = Math.max(most, held() - before);
       }
       console.log(JSON.stringify({ count, most, batches }));`,
    ]);
    const { count, most } = JSON.parse(stdout) as { count: number; most: number };
    expect(count).toBe(1_000_000);
    expect(most).toBeLessThan(8 * 1024 * 1024);
  }, 120_000);
});
