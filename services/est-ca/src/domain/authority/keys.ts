import type { Signer } from '@signet/pki';

/** Where CA keys are kept. Replicas of one installation see the same keys. */
export type AuthorityKeys = {
  /** Opens the key of a CA, and makes it where there is none. Of several that make it at once, all get one key. */
  openOrCreate(authorityId: string): Promise<Signer>;
  /** Undefined where this process does not hold the key of that CA. */
  open(authorityId: string): Promise<Signer | undefined>;
};
