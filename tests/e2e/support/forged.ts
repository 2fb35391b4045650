import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, spiffeId } from '@signet/contracts';
import { type Certificate, EKU, parseCertificatePem } from '@signet/pki';
import { type CertificatePlan, makeCertificate, newTestKey, testKeyId } from '@signet/pki/testing';
import type { Device } from './device.ts';
import type { Scene } from './scene.ts';

const DAY_MS = 86_400_000;
const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);

type Changes = Partial<CertificatePlan>;

/**
 * A bootstrap certificate for a device as nobody would issue it: by default right in all, and unknown to the factory
 * log. The files are `<name>.crt` and `<name>.key`.
 */
export async function forgeBootstrap(scene: Scene, device: Device, name: string, changes: Changes = {}) {
  const subject = { commonName: device.id, serialNumber: device.id };
  return await forge(scene, device, name, 'factory', { subject, notAfter: NO_END, ...changes });
}

/** The same with an operational certificate, of an account and device id as given. */
export async function forgeOperational(scene: Scene, device: Device, name: string, changes: Changes = {}) {
  return await forge(scene, device, name, 'issuing', {
    subject: { commonName: device.id, organization: scene.account },
    extKeyUsage: [EKU.clientAuth],
    uris: [spiffeId('signet.local', scene.account, device.id)],
    ...changes,
  });
}

/** Signed with the platform's own key of that CA, unless `changes` has another. */
async function forge(
  scene: Scene,
  device: Device,
  name: string,
  kind: Authority['kind'],
  changes: Changes & Pick<CertificatePlan, 'subject'>,
): Promise<Certificate> {
  const { authorities } = await scene.platform.env.operator.get<{ authorities: Authority[] }>(
    '/v1/authorities',
  );
  const authority = authorities.find((one) => one.kind === kind);
  if (authority === undefined) throw new Error(`the platform has no ${kind} CA`);
  const issuer = parseCertificatePem(authority.certificate);
  const privateKey = newTestKey();
  const publicKey = createPublicKey(privateKey);
  const certificate = makeCertificate({
    publicKey,
    issuer: issuer.subject,
    signingKey: changes.signingKey ?? (await authorityKey(scene.platform.keyFolder, authority.authorityId)),
    authorityKeyId: issuer.subjectKeyId,
    subjectKeyId: testKeyId(publicKey),
    notBefore: Date.now() - DAY_MS,
    notAfter: Date.now() + DAY_MS,
    keyUsage: ['digitalSignature'],
    ...changes,
  });
  await writeFile(device.file(`${name}.crt`), certificate.pem());
  await writeFile(device.file(`${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return certificate;
}

async function authorityKey(folder: string, id: string): Promise<KeyObject> {
  const [key, passphrase] = await Promise.all([
    readFile(join(folder, `${id}.key.pem`)),
    readFile(join(folder, 'passphrase'), 'utf8'),
  ]);
  return createPrivateKey({ key, format: 'pem', passphrase: passphrase.trim() });
}
