import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { revokeCertificates } from '@signet/contracts';
import { decodeCertsOnly, EKU, parseCertificate, parseCertificatePem, parseCrl } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { type RunResult, run } from './support/run.ts';
import { enrolledDevice } from './support/scene.ts';

const openssl = requireServer('openssl');
const curl = requireServer('curl');
const strongswan = requireServer('strongswan');

let est: EstFixture;
let folder: string;
beforeAll(async () => {
  est = await openEstFixture({ env: { SIGNET_EST_CRL_CACHE_SECONDS: '0' } });
  folder = await mkdtemp(join(tmpdir(), 'signet-est-'));
  await writeFile(join(folder, 'root.pem'), est.anchors);
  const authorities = est.fixture.deps.admission.trust.authorities().map(({ certificate }) => certificate);
  await writeFile(join(folder, 'cas.pem'), authorities.join(''));
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const url = (path: string) => `https://localhost:${est.service.estPort}${path}`;

async function succeeds(program: string, ...args: string[]): Promise<RunResult> {
  const result = await run(program, args, { cwd: folder });
  expect({ args, code: result.code, stderr: result.stderr }).toMatchObject({ code: 0 });
  return result;
}

/** Makes a key and a CSR in PEM: `<name>.key` and `<name>.csr`. */
async function opensslCsr(name: string, subject: string): Promise<void> {
  await succeeds(
    openssl,
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-subj',
    subject,
    '-out',
    `${name}.csr`,
  );
}

/** Writes a bootstrap certificate with its key, and gives a grant. */
async function handedOver(deviceId: string): Promise<string> {
  const device = await est.bootstrapDevice(deviceId);
  await writeFile(join(folder, `${deviceId}.boot.pem`), device.certificate);
  await writeFile(
    join(folder, `${deviceId}.boot.key`),
    device.keys.privateKey.export({ type: 'sec1', format: 'pem' }),
  );
  return est.grantFor(device);
}

describe.skipIf(openssl === '' || curl === '')('curl and openssl', () => {
  it('enrol with the bootstrap certificate and the grant, and openssl verifies what comes', async () => {
    const grant = await handedOver('dev-curl');
    await opensslCsr('dev-curl', '/CN=dev-curl');
    const der = await succeeds(openssl, 'req', '-in', 'dev-curl.csr', '-outform', 'DER');
    await writeFile(join(folder, 'dev-curl.b64'), der.stdout.toString('base64'));
    const reply = await succeeds(
      curl,
      ...[
        '-sS',
        '--fail-with-body',
        '--cacert',
        'root.pem',
        '--cert',
        'dev-curl.boot.pem',
        '--key',
        'dev-curl.boot.key',
      ],
      ...[
        '-u',
        `dev-curl:${grant}`,
        '-H',
        'Content-Type: application/pkcs10',
        '--data-binary',
        '@dev-curl.b64',
      ],
      url('/.well-known/est/simpleenroll'),
    );
    await writeFile(
      join(folder, 'dev-curl.p7'),
      `-----BEGIN PKCS7-----\n${reply.stdout.toString()}-----END PKCS7-----\n`,
    );
    await succeeds(openssl, 'pkcs7', '-in', 'dev-curl.p7', '-print_certs', '-out', 'dev-curl.pem');
    await fetchAuthorities();
    await succeeds(
      openssl,
      'verify',
      '-purpose',
      'sslclient',
      '-x509_strict',
      '-CAfile',
      'root.pem',
      '-untrusted',
      'cas.pem',
      'dev-curl.pem',
    );
    const certificate = parseCertificatePem(await readFile(join(folder, 'dev-curl.pem'), 'utf8'));
    expect(certificate.subject).toEqual({ commonName: 'dev-curl', organization: ACCOUNT });
  });

  it('renew with a CSR that copies every old extension: neither refused nor copied', async () => {
    const device = await enrolledDevice(est, 'dev-copy');
    await writeFile(join(folder, 'copy.pem'), device.issued.pem());
    await writeFile(
      join(folder, 'copy.key'),
      device.operational.privateKey.export({ type: 'sec1', format: 'pem' }),
    );
    await succeeds(
      openssl,
      ...[
        'x509',
        '-x509toreq',
        '-copy_extensions',
        'copyall',
        '-in',
        'copy.pem',
        '-signkey',
        'copy.key',
        '-out',
        'copy.csr',
      ],
    );
    const reply = await succeeds(
      curl,
      ...['-sS', '--fail-with-body', '--cacert', 'root.pem', '--cert', 'copy.pem', '--key', 'copy.key'],
      ...['-H', 'Content-Type: application/pkcs10', '--data-binary', '@copy.csr'],
      url('/.well-known/est/simplereenroll'),
    );
    const renewed = certificateIn(reply);
    expect(renewed.serialNumber).not.toBe(device.issued.serialNumber);
    expect(renewed.extensions.map(({ oid }) => oid)).toEqual(device.issued.extensions.map(({ oid }) => oid));
  });

  it('are never given what a CA has, whatever the CSR asks for', async () => {
    const grant = await handedOver('dev-ca');
    await succeeds(
      openssl,
      ...[
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        'ca.key',
        '-subj',
        '/CN=dev-ca',
      ],
      ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ...[
        '-addext',
        'extendedKeyUsage=serverAuth,1.3.6.1.5.5.7.3.28',
        '-addext',
        'subjectAltName=DNS:admin.example',
        '-out',
        'ca.csr',
      ],
    );
    const reply = await succeeds(
      curl,
      ...['-sS', '--fail-with-body', '--cacert', 'root.pem', '-u', `dev-ca:${grant}`],
      ...['-H', 'Content-Type: application/pkcs10', '--data-binary', '@ca.csr'],
      url('/.well-known/est/simpleenroll'),
    );
    const { basicConstraints, keyUsage, extKeyUsage, sans } = certificateIn(reply);
    expect([basicConstraints, [...(keyUsage ?? [])], extKeyUsage, sans.dns]).toEqual([
      undefined,
      ['digitalSignature'],
      [EKU.clientAuth],
      [],
    ]);
  });

  it('read CA certificates and the CRL from the addresses in the certificate', async () => {
    const device = await enrolledDevice(est, 'dev-crl');
    await writeFile(join(folder, 'dev-crl.pem'), device.issued.pem());
    const [crlUrl = ''] = device.issued.crlUrls;
    const [issuerUrl = ''] = device.issued.caIssuerUrls;
    const issuer = parseCertificate(new Uint8Array((await succeeds(curl, '-sSf', issuerUrl)).stdout));
    expect(issuer.subjectKeyId).toBe(device.issued.authorityKeyId);
    const check = async (wanted: number) => {
      const crl = await succeeds(curl, '-sSf', crlUrl);
      await writeFile(join(folder, 'crl.der'), crl.stdout);
      await succeeds(openssl, 'crl', '-inform', 'DER', '-in', 'crl.der', '-out', 'crl.pem');
      const args = [
        'verify',
        '-crl_check',
        '-CAfile',
        'root.pem',
        '-untrusted',
        'cas.pem',
        '-CRLfile',
        'crl.pem',
        'dev-crl.pem',
      ];
      expect(await run(openssl, args, { cwd: folder })).toMatchObject({ code: wanted });
      return parseCrl(new Uint8Array(crl.stdout));
    };
    const before = await check(0);
    await est.fixture.deps.bus.request(revokeCertificates, {
      account: ACCOUNT,
      deviceId: 'dev-crl',
      reason: 'keyCompromise',
      by: 'test',
    });
    const after = await check(2);
    expect(after.number ?? 0n).toBeGreaterThan(before.number ?? 0n);
    expect(after.entries).toEqual([
      { serialNumber: device.issued.serialNumber, revokedAt: expect.any(Number), reason: 'keyCompromise' },
    ]);
    await est.event(
      'CRL_PUBLISHED',
      ({ data }) => data.number === Number(after.number) && data.entries === 1,
    );
  });

  function certificateIn(reply: RunResult) {
    const [der] = decodeCertsOnly(new Uint8Array(Buffer.from(reply.stdout.toString(), 'base64')));
    return parseCertificate(der ?? new Uint8Array());
  }

  /** With the tools of a device that has nothing else. */
  async function fetchAuthorities(): Promise<void> {
    const reply = await succeeds(curl, '-sSf', '--cacert', 'root.pem', url('/.well-known/est/cacerts'));
    await writeFile(
      join(folder, 'cas.p7'),
      `-----BEGIN PKCS7-----\n${reply.stdout.toString()}-----END PKCS7-----\n`,
    );
    await succeeds(openssl, 'pkcs7', '-in', 'cas.p7', '-print_certs', '-out', 'cas.pem');
  }
});

describe.skipIf(strongswan === '' || openssl === '')('strongSwan pki over TLS 1.2', () => {
  it('fetches the CA certificates', async () => {
    await succeeds(
      strongswan,
      '--estca',
      '--url',
      url(''),
      '--cacert',
      'root.pem',
      '--caout',
      'ca.pem',
      '--outform',
      'pem',
      '--force',
    );
    const names = await succeeds(openssl, 'x509', '-in', 'ca.pem', '-noout', '-subject');
    expect(names.stdout.toString()).toContain('Signet');
  });

  it('F25: enrols with user name and grant', async () => {
    const grant = await handedOver('dev-swan');
    await opensslCsr('dev-swan', '/CN=dev-swan');
    const args = [
      '--est',
      '--url',
      url(''),
      '--in',
      'dev-swan.csr',
      '--cacert',
      'root.pem',
      '--userpass',
      `dev-swan:${grant}`,
    ];
    const issued = parseCertificate(new Uint8Array((await succeeds(strongswan, ...args)).stdout));
    expect(issued.subject).toEqual({ commonName: 'dev-swan', organization: ACCOUNT });
  });

  it('is refused a wrong grant', async () => {
    await handedOver('dev-swan-2');
    await opensslCsr('dev-swan-2', '/CN=dev-swan-2');
    const args = [
      '--est',
      '--url',
      url(''),
      '--in',
      'dev-swan-2.csr',
      '--cacert',
      'root.pem',
      '--userpass',
      'dev-swan-2:nonsense',
    ];
    const result = await run(strongswan, args, { cwd: folder });
    expect(result.code).not.toBe(0);
    await est.event(
      'ENROLLMENT_REFUSED',
      ({ data }) => data.code === 'wrong-grant' && data.deviceId === 'dev-swan-2',
    );
  });

  it('F31: renews with the current certificate and a new key', async () => {
    const device = await enrolledDevice(est, 'dev-swan-3');
    await writeFile(join(folder, 'old.pem'), device.issued.pem());
    await writeFile(
      join(folder, 'old.key'),
      device.operational.privateKey.export({ type: 'sec1', format: 'pem' }),
    );
    await opensslCsr('dev-swan-3', `/O=${ACCOUNT}/CN=dev-swan-3`);
    const args = [
      '--est',
      '--url',
      url(''),
      '--in',
      'dev-swan-3.csr',
      '--cacert',
      'root.pem',
      '--cacert',
      'cas.pem',
      '--cert',
      'old.pem',
      '--key',
      'old.key',
    ];
    const renewed = parseCertificate(new Uint8Array((await succeeds(strongswan, ...args)).stdout));
    expect(renewed.subjectDer).toEqual(device.issued.subjectDer);
    expect(renewed.publicKeyHash).not.toBe(device.issued.publicKeyHash);
  });
});
