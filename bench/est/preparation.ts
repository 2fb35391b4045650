import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { createCsr, encodePem, generateKeyPair, parseCertificatePem } from '@signet/pki';
import type { Child } from './child.ts';
import { contextOf, type Enrolment } from './enrolment-client.ts';
import type { Asked, Holder } from './enrolment-server.ts';

const ACCOUNT = 'bench';
const BATCH = 200;

/** A device that left the factory. */
export type BenchDevice = { readonly fingerprint: string; readonly context: SecureContext };

/** Makes devices with bootstrap certificates of the platform's factory CA. */
export async function bootstrapDevices(
  server: Child,
  count: number,
  anchors: string,
): Promise<BenchDevice[]> {
  const made: BenchDevice[] = [];
  while (made.length < count) {
    const keys = Array.from({ length: Math.min(BATCH, count - made.length) }, () => generateKeyPair('P-256'));
    const devices = keys.map(({ privateKey }, i) => {
      const deviceId = `factory-${made.length + i}`;
      const csr = createCsr({ subject: { commonName: deviceId }, privateKey });
      return { deviceId, csr: encodePem('CERTIFICATE REQUEST', csr) };
    });
    const certificates = await server.ask<string[]>({
      ask: 'certify',
      account: ACCOUNT,
      devices,
    } satisfies Asked);
    for (const [i, certificate] of certificates.entries()) {
      const key = keys[i]?.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
      const { fingerprint } = parseCertificatePem(certificate);
      made.push({ fingerprint, context: contextOf(certificate, key, anchors) });
    }
  }
  return made;
}

/** A live grant for each. */
export function grantsFor(server: Child, holders: readonly Holder[]): Promise<string[]> {
  return server.ask<string[]>({ ask: 'grants', account: ACCOUNT, holders } satisfies Asked);
}

/** An enrolment of a new device with a new key and a grant of its own, for each holder of a bootstrap certificate. */
export async function enrolmentsOf(
  server: Child,
  holders: readonly BenchDevice[],
  prefix: string,
): Promise<Enrolment[]> {
  const made: Enrolment[] = [];
  for (let start = 0; start < holders.length; start += BATCH) {
    const batch = holders.slice(start, start + BATCH);
    const named = batch.map(({ fingerprint }, i) => ({ deviceId: `${prefix}-${start + i}`, fingerprint }));
    const grants = await grantsFor(server, named);
    for (const [i, { context }] of batch.entries()) {
      const deviceId = named[i]?.deviceId ?? '';
      const csr = createCsr({
        subject: { commonName: deviceId, organization: ACCOUNT },
        privateKey: generateKeyPair('P-256').privateKey,
      });
      made.push({ deviceId, context, grant: grants[i] ?? '', csr: Buffer.from(csr).toString('base64') });
    }
  }
  return made;
}

/** The TLS identity of the EST service, for the server that it is compared with. */
export function serverIdentity(dataDir: string): { readonly cert: string; readonly key: string } {
  const pem = readFileSync(join(dataDir, 'tls', 'est-ca.pem'), 'latin1');
  const key = /-----BEGIN PRIVATE KEY-----[\s\S]*?-----END PRIVATE KEY-----\n/.exec(pem)?.[0] ?? '';
  return { key, cert: pem.replace(key, '') };
}
