import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeyFile, openKeyFile, PkiError, passphraseFile, type Signer } from '@signet/pki';

/** Keys of one purpose, made when they are first needed, the same for all replicas. */
export type PurposeKeys = { openOrCreate(id: string): Promise<Signer> };

/**
 * Keys beside those of the CAs: `<folder>/<purpose>.<id>.key.pem` under the folder's passphrase. Ids of CAs hold no
 * dot, so that neither is ever taken for the other.
 */
export function purposeKeys(folder: string, purpose: string): PurposeKeys {
  return {
    async openOrCreate(id) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const passphrase = await passphraseFile(join(folder, 'passphrase'));
      const path = join(folder, `${purpose}.${id}.key.pem`);
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
