import { createPrivateKey } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodePem, encodeName, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';

const [openssl, go, python, keytool] = (['openssl', 'go', 'python', 'keytool'] as const).map(
  requireServer,
) as [string, string, string, string];
const builders = join(import.meta.dirname, 'builders');
const PASSWORD = 'changeit';

let est: EstFixture;
let folder: string;
beforeAll(async () => {
  est = await openEstFixture();
  folder = await mkdtemp(join(tmpdir(), 'signet-builders-'));
  // compiles a part of Go's library where its cache is empty
  if (go !== '') await succeeds(go, ['build', '-o', 'go-builder', join(builders, 'main.go')], folder);
}, 600_000);
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Writes `key.pem` and `request.der`, or `request.pem`, for a device of the account into a folder. */
type Builder = (device: string, cwd: string) => Promise<void>;

async function succeeds(program: string, args: readonly string[], cwd: string): Promise<void> {
  const { code, stderr, stdout } = await run(program, args, { cwd });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stdout.toString()}${stderr}`);
}

const byOpenssl =
  (mask: string): Builder =>
  async (device, cwd) => {
    const config = `[req]\nprompt = no\ndistinguished_name = dn\nstring_mask = ${mask}\n[dn]\nCN = ${device}\nO = ${ACCOUNT}\n`;
    await writeFile(join(cwd, 'request.cnf'), config);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem'];
    await succeeds(openssl, ['req', '-new', '-config', 'request.cnf', ...key, '-out', 'request.pem'], cwd);
  };

/** Java: the certificate request of `keytool`, whose key a keystore holds. */
const byKeytool: Builder = async (device, cwd) => {
  const store = ['-keystore', 'keys.p12', '-storetype', 'PKCS12', '-storepass', PASSWORD, '-alias', 'device'];
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-dname', `CN=${device}, O=${ACCOUNT}`];
  await succeeds(keytool, ['-genkeypair', ...store, ...key], cwd);
  await succeeds(keytool, ['-certreq', ...store, '-file', 'request.pem'], cwd);
  const export_ = ['-in', 'keys.p12', '-passin', `pass:${PASSWORD}`, '-nodes', '-nocerts', '-out', 'key.pem'];
  await succeeds(openssl, ['pkcs12', ...export_], cwd);
};

const byPython =
  (program: string, ...more: readonly string[]): Builder =>
  (device, cwd) =>
    succeeds(python, [join(builders, program), device, ACCOUNT, ...more], cwd);

const all: readonly (readonly [name: string, tools: readonly string[], build: Builder])[] = [
  ['Go, crypto/x509', [go], (device, cwd) => succeeds(join(folder, 'go-builder'), [device, ACCOUNT], cwd)],
  ['Java, keytool', [keytool, openssl], byKeytool],
  ['OpenSSL', [openssl], byOpenssl('utf8only')],
  ['OpenSSL with PrintableString', [openssl], byOpenssl('MASK:0x2')],
  ['Python, cryptography', [python], byPython('cryptography_csr.py', 'UTF8String')],
  ['Python, cryptography with PrintableString', [python], byPython('cryptography_csr.py', 'PrintableString')],
  ['Mbed TLS', [python], byPython('mbedtls_csr.py')],
];

async function built(build: Builder, device: string) {
  const cwd = await mkdtemp(join(folder, 'made-'));
  await build(device, cwd);
  const csr = await readFile(join(cwd, 'request.der')).catch(async () =>
    decodePem(
      await readFile(join(cwd, 'request.pem'), 'utf8'),
      'CERTIFICATE REQUEST',
      'NEW CERTIFICATE REQUEST',
    ),
  );
  const privateKey = createPrivateKey(await readFile(join(cwd, 'key.pem'), 'utf8'));
  return { csr: new Uint8Array(csr), privateKey };
}

describe('a device renews with whatever builds its CSRs (RFC 5280 §7.1, RFC 7030 §4.2.2)', () => {
  for (const [i, [name, tools, build]] of all.entries())
    it.skipIf(tools.includes(''))(
      `${name}: enrols and renews, and its certificate has its name as it wrote it`,
      async () => {
        const device = `built-${i}`;
        const basic = [device, await est.grantFor(await est.bootstrapDevice(device))] as const;
        const first = await built(build, device);
        const issued = issuedIn(await call(est, enrolment(first.csr, { basic })));
        expect(issued.subject).toEqual({ commonName: device, organization: ACCOUNT });
        expect(Buffer.from(first.csr).includes(Buffer.from(issued.subjectDer))).toBe(true);

        const second = await built(build, device);
        const identity = { certificate: issued.pem(), privateKey: first.privateKey };
        const path = '/.well-known/est/simplereenroll';
        const renewed = issuedIn(await call(est, enrolment(second.csr, { path, identity })));
        expect(renewed.subjectDer).toEqual(issued.subjectDer);
        expect(renewed.publicKeyHash).not.toBe(issued.publicKeyHash);
      },
      120_000,
    );

  it('a certificate of before, in UTF8String, renews with a CSR in PrintableString', async () => {
    const device = 'built-before';
    const basic = [device, await est.grantFor(await est.bootstrapDevice(device))] as const;
    const utf8 = encodeName({ commonName: device, organization: ACCOUNT });
    // tag and text of each attribute: 0c is UTF8String, 13 PrintableString
    const printable = Buffer.from(utf8);
    for (const text of [device, ACCOUNT]) printable[printable.indexOf(text) - 2] = 0x13;
    const { privateKey } = generateKeyPair('P-256');
    const issued = issuedIn(await call(est, enrolment({ subjectDer: utf8, privateKey }, { basic })));
    expect(issued.subjectDer).toEqual(utf8);
    const identity = { certificate: issued.pem(), privateKey };
    const path = '/.well-known/est/simplereenroll';
    const request = enrolment({ subjectDer: printable, privateKey }, { path, identity });
    expect(issuedIn(await call(est, request)).subjectDer).toEqual(utf8);
  });
});
