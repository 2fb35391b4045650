import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeyFile, openKeyFile, PkiError, passphraseFile } from '@signet/pki';
import type { AuthorityKeys } from '../domain/authority/keys.ts';

/**
 * CA keys as encrypted PKCS#8 in `<folder>/<authority>.key.pem`, under the passphrase in `<folder>/passphrase`
 * (mode 0600, made at first start).
 */
export async function keyFolder(folder: string): Promise<AuthorityKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const passphrase = await passphraseFile(join(folder, 'passphrase'));
  const pathOf = (id: string) => join(folder, `${id}.key.pem`);
  return {
    async openOrCreate(id) {
      if (await exists(pathOf(id))) return openKeyFile(pathOf(id), passphrase);
      try {
        return await createKeyFile(pathOf(id), passphrase);
      } catch (error) {
        if (!(error instanceof PkiError && error.code === 'key-file' && (await exists(pathOf(id)))))
          throw error;
        return openKeyFile(pathOf(id), passphrase);
      }
    },
    open: async (id) => ((await exists(pathOf(id))) ? openKeyFile(pathOf(id), passphrase) : undefined),
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
