import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKeyPair, issueRoot, issuerFrom, keySigner, parseCertificatePem } from '@signet/pki';
import { openStore } from '@signet/store';
import type { SigningCa } from '../../services/est-ca/src/domain/authority/issuer-registry.ts';
import { certificates } from '../../services/est-ca/src/domain/certificate/certificate.ts';
import { crlChunks, crlFiles, crlStates } from '../../services/est-ca/src/domain/crl/crl-store.ts';
import type { CrlDeps } from '../../services/est-ca/src/domain/crl/publish-crl.ts';

export const DAY_MS = 86_400_000;

/** What CRLs are made on: a SQLite file in `folder`, and a CA with its key. The same folder gives the same. */
export async function openFixture(folder: string, now: () => number) {
  const store = await openStore({
    url: `sqlite:${join(folder, 'bench.db')}`,
    publish: async () => undefined,
  });
  const states = await store.collection(crlStates);
  const chunks = await store.collection(crlChunks);
  const records = await store.collection(certificates);
  const files = crlFiles(chunks, now);
  const deps: CrlDeps = {
    certificates: records,
    states,
    files,
    urls: {
      crlOf: (id) => `http://ca.example/crl/${id}.crl`,
      deltaOf: (id) => `http://ca.example/crl/${id}.delta.crl`,
    },
    lifetimeMs: DAY_MS,
    deltaLifetimeMs: DAY_MS,
    newToken: () => crypto.randomUUID(),
    now,
  };
  return { store, states, records, files, deps, authority: await authorityIn(folder) };
}

async function authorityIn(folder: string): Promise<SigningCa> {
  const path = join(folder, 'authority.json');
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPair('P-256');
    const now = Date.now();
    const certificate = await issueRoot({
      subject: { commonName: 'Bench CA' },
      signer: keySigner(privateKey),
      issuedAt: now,
      notAfter: now + 3650 * DAY_MS,
    });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(path, JSON.stringify({ key, certificate: certificate.pem() }));
  }
  const { key, certificate } = JSON.parse(readFileSync(path, 'utf8')) as { key: string; certificate: string };
  const { createPrivateKey } = await import('node:crypto');
  const parsed = parseCertificatePem(certificate);
  return {
    certificate: parsed,
    issuer: issuerFrom(parsed),
    signer: keySigner(createPrivateKey(key)),
    document: {
      id: 'bench',
      kind: 'issuing',
      account: 'bench',
      state: 'active',
      certificate,
      parent: 'bench',
      subjectKeyId: parsed.subjectKeyId ?? '',
      notAfter: new Date(parsed.notAfter).toISOString(),
      createdAt: new Date(parsed.notBefore).toISOString(),
    },
  };
}
