import { PkiError, type Signer } from '@signet/pki';
import type { KeyStores } from './key-stores.ts';
import type { PurposeKeys } from './purpose-keys.ts';

/** Why nothing may be signed now, if that is so. */
export type Fault = () => string | undefined;

/** A signer that refuses while `fault` has a reason. */
function guarded(signer: Signer, fault: Fault): Signer {
  return {
    algorithm: signer.algorithm,
    publicKey: signer.publicKey,
    sign(data) {
      const reason = fault();
      if (reason !== undefined) throw new PkiError('signer-failed', reason);
      return signer.sign(data);
    },
  };
}

/** Key stores whose keys sign nothing while `fault` has a reason, whatever is to be signed. */
export function guardKeyStores(keys: KeyStores, fault: Fault | undefined): KeyStores {
  if (fault === undefined) return keys;
  return {
    async openOrCreate(id, wanted) {
      const held = await keys.openOrCreate(id, wanted);
      return { ...held, signer: guarded(held.signer, fault) };
    },
    async open(document) {
      const signer = await keys.open(document);
      return signer === undefined ? undefined : guarded(signer, fault);
    },
    failure: () => keys.failure(),
    [Symbol.asyncDispose]: () => keys[Symbol.asyncDispose](),
  };
}

/** The same of keys of one purpose. */
export function guardPurposeKeys(keys: PurposeKeys, fault: Fault | undefined): PurposeKeys {
  if (fault === undefined) return keys;
  return { openOrCreate: async (id) => guarded(await keys.openOrCreate(id), fault) };
}
