import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeyFile, openKeyFile, PkiError, passphraseFile } from '@signet/pki';
import type { ResponderKeys } from '../domain/ocsp/responders.ts';

/**
 * Keys of OCSP responders beside those of the CAs: `<folder>/ocsp.<authority>.key.pem` under the folder's passphrase. Ids
 * of CAs hold no dot, so that neither is ever taken for the other.
 */
export function responderKeys(folder: string): ResponderKeys {
  return {
    async openOrCreate(authorityId) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const passphrase = await passphraseFile(join(folder, 'passphrase'));
      const path = join(folder, `ocsp.${authorityId}.key.pem`);
      if (await exists(path)) return openKeyFile(path, passphrase);
      try {
        return await createKeyFile(path, passphrase);
      } catch (error) {
        if (!(error instanceof PkiError && error.code === 'key-file' && (await exists(path)))) throw error;
        return openKeyFile(path, passphrase);
      }
    },
  };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
