import type { AuthorityKeyType, Signer } from '@signet/pki';
import type { AuthorityDocument } from './authority.ts';

/** Where a key lies that this service may use. */
export type KeyPlace = {
  readonly custody: 'file' | 'pkcs11';
  /** RFC 7512 for `pkcs11`, without PIN; absent for the file of the CA's id in the key folder. */
  readonly keyUri?: string;
};

export type HeldKey = KeyPlace & { readonly signer: Signer };

/** `custody`: by default the place that the installation uses; `type`: by default P-256. */
export type WantedKey = {
  readonly custody?: KeyPlace['custody'] | undefined;
  readonly type?: AuthorityKeyType | undefined;
};

/** Where CA keys are kept. Replicas of one installation see the same keys. */
export type AuthorityKeys = {
  /**
   * Opens the key of a CA, and makes it where there is none. Of several that make it at once, all get one key.
   * @throws AuthorityError `no-key-store` where there is no such place here
   */
  openOrCreate(authorityId: string, wanted?: WantedKey): Promise<HeldKey>;
  /** Undefined where this process does not hold the key of that CA. */
  open(
    document: Pick<AuthorityDocument, 'id' | 'custody' | 'keyUri' | 'certificate'>,
  ): Promise<Signer | undefined>;
};
