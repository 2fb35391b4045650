import { type Certificate, decodePemBlocks, parseCertificate } from '@signet/pki';
import { AgentError } from './agent-error.ts';
import { DeviceKeys } from './keys/device-keys.ts';
import type { KeyHolder } from './keys/key-holder.ts';

/**
 * A private key and its certificate chain in PEM. Where somebody holds the key for the device, `key` is the text by which
 * the holder finds it.
 */
export type Identity = {
  readonly key: string;
  readonly certificate: string;
  readonly holder?: KeyHolder | undefined;
};

/** The device's own certificate: the first of its chain. @throws PkiError */
export function leaf(identity: Identity): Certificate {
  const [, text = ''] = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(identity.certificate) ?? [];
  return parseCertificate(Buffer.from(text, 'base64'));
}

/** All certificates of a PEM text. @throws PkiError, Error where there is none, or one is cut off */
export function certificatesIn(pem: string): Certificate[] {
  const all = decodePemBlocks(pem).map(({ der }) => parseCertificate(der));
  if (all.length === 0) throw new Error('no certificate in PEM');
  if (pem.split('-----BEGIN ').length - 1 > all.length) throw new Error('a certificate is cut off');
  return all;
}

/** The identity as it is, if key and certificate can be read and belong together. @throws AgentError `broken-folder` */
export function checkIdentity(
  { key, certificate }: Pick<Identity, 'key' | 'certificate'>,
  where: { key: string; certificate: string },
  keys: DeviceKeys = new DeviceKeys(),
): Identity {
  const holder = keys.holderOf(key);
  const identity = { key, certificate, ...(holder === undefined ? {} : { holder }) };
  const spki = reading(where.key, 'no private key', () =>
    keys.publicKey(key).export({ type: 'spki', format: 'der' }),
  );
  const { spkiDer } = reading(where.certificate, 'no certificate', () => {
    certificatesIn(certificate);
    return leaf(identity);
  });
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
