import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type Certificate, parseCertificate } from '@signet/pki';
import { AgentError } from './agent-error.ts';

/** A private key and its certificate chain in PEM. */
export type Identity = { readonly key: string; readonly certificate: string };

/** The device's own certificate: the first of its chain. @throws PkiError */
export function leaf(identity: Identity): Certificate {
  const [, text = ''] = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(identity.certificate) ?? [];
  return parseCertificate(Buffer.from(text, 'base64'));
}

/** The identity as it is, if key and certificate can be read and belong together. @throws AgentError `broken-folder` */
export function checkIdentity(identity: Identity, where: { key: string; certificate: string }): Identity {
  const spki = reading(where.key, 'no private key', () =>
    createPublicKey(createPrivateKey(identity.key)).export({ type: 'spki', format: 'der' }),
  );
  const { spkiDer } = reading(where.certificate, 'no certificate', () => leaf(identity));
  if (!spki.equals(spkiDer))
    throw new AgentError('broken-folder', `${where.certificate}: the certificate is for another key`);
  return identity;
}

/** Reads what lies in a file; what fails says which. @throws AgentError `broken-folder` */
export function reading<T>(file: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('broken-folder', `${file}: ${what}: ${reason}`, { cause });
  }
}
