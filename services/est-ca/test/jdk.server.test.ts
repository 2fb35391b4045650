import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { parseCertificate } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';

const program = join(import.meta.dirname, 'jdk', 'ReachWithRevocation.java');

let est: EstFixture;
let folder: string;
beforeAll(async () => {
  est = await openEstFixture();
  folder = await mkdtemp(join(tmpdir(), 'signet-jdk-'));
  await writeFile(join(folder, 'roots.pem'), est.anchors);
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** The certificate that the EST listener shows. */
async function shown() {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const { estPort: port } = est.service;
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: est.anchors }, () =>
    resolve(socket.getPeerCertificate().raw),
  ).on('error', reject);
  const der = await promise.finally(() => socket.destroy());
  return parseCertificate(der);
}

it('the certificate of a service says where its CRL, its CA and OCSP are', async () => {
  const { crlUrls, ocspUrls, caIssuerUrls, authorityKeyId } = await shown();
  const base = `http://localhost:${est.service.httpPort}`;
  expect(ocspUrls).toEqual([`${base}/ocsp`]);
  expect(crlUrls).toHaveLength(1);
  expect((await fetch(crlUrls[0] ?? '')).status).toBe(200);
  const ca = parseCertificate(new Uint8Array(await (await fetch(caIssuerUrls[0] ?? '')).arrayBuffer()));
  expect(ca.subjectKeyId).toBe(authorityKeyId);
});

describe.skipIf(spawnSync('java', ['-version']).error !== undefined)('a JDK that checks revocation', () => {
  it.each(['ocsp', 'crl'])('reaches EST, by %s alone', async (by) => {
    const url = `https://localhost:${est.service.estPort}/.well-known/est/cacerts`;
    const { stdout, stderr } = await run('java', [program, url, join(folder, 'roots.pem'), by]);
    expect(`${stdout}`.trim(), stderr).toBe('200');
  });
});
