import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AuthorityKeyType,
  createKeyFile,
  openKeyFile,
  PkiError,
  passphraseFile,
  type Signer,
} from '@signet/pki';
import type { HeldKey, WantedKey } from '../domain/authority/keys.ts';

/**
 * CA keys as encrypted PKCS#8 in `<folder>/<authority>.key.pem`, under the passphrase in `<folder>/passphrase`
 * (mode 0600, made at first start).
 */
export async function keyFolder(folder: string): Promise<KeyFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const passphrase = await passphraseFile(join(folder, 'passphrase'));
  const pathOf = (id: string) => join(folder, `${id}.key.pem`);
  const openOrCreate = async (id: string, type?: AuthorityKeyType): Promise<Signer> => {
    if (await exists(pathOf(id))) return openKeyFile(pathOf(id), passphrase);
    try {
      return await createKeyFile(pathOf(id), passphrase, type);
    } catch (error) {
      if (!(error instanceof PkiError && error.code === 'key-file' && (await exists(pathOf(id)))))
        throw error;
      return openKeyFile(pathOf(id), passphrase);
    }
  };
  return {
    openOrCreate: async (id, { type } = {}) => ({ custody: 'file', signer: await openOrCreate(id, type) }),
    open: async ({ id }) => ((await exists(pathOf(id))) ? openKeyFile(pathOf(id), passphrase) : undefined),
  };
}

export type KeyFolder = {
  openOrCreate(authorityId: string, wanted?: WantedKey): Promise<HeldKey>;
  open(authority: { readonly id: string }): Promise<Signer | undefined>;
};

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
