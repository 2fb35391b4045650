import { parseCertificatePem, verifyCertificateSignature } from '@signet/pki';
import type { DeviceFolder } from './device-folder.ts';
import { type EstServer, fetchCaCertificates } from './est-client.ts';
import type { Identity } from './identity.ts';

/**
 * Takes up the roots that the platform gives now (RFC 7030 §4.1.1): fetched over a connection that the roots known so
 * far vouch for, and with the device's own certificate, by which the platform counts who has them. What is not a root
 * is not kept. Returns whether there were others than before.
 * @throws AgentError `refused`, `unreachable`; the roots stay as they are
 */
export async function refreshAnchors(
  folder: DeviceFolder,
  server: EstServer,
  identity: Identity,
): Promise<boolean> {
  const roots = (await fetchCaCertificates(server, identity)).filter(isRoot);
  const bundle = await folder.bundle();
  if (bundle === undefined || roots.length === 0) return false;
  const before = new Set(bundle.trustAnchors.map((pem) => parseCertificatePem(pem).fingerprint));
  const isSame =
    before.size === roots.length && roots.every((pem) => before.has(parseCertificatePem(pem).fingerprint));
  if (!isSame) await folder.putBundle({ ...bundle, trustAnchors: roots });
  return !isSame;
}

function isRoot(pem: string): boolean {
  const certificate = parseCertificatePem(pem);
  return (
    Buffer.compare(certificate.subjectDer, certificate.issuerDer) === 0 &&
    verifyCertificateSignature(certificate, certificate)
  );
}
