import type { PKCS11 } from 'pkcs11js';
import { PkiError } from '../../pki-error.ts';

/** The bindings and a library that is loaded by them. */
export type LoadedModule = { readonly bindings: typeof import('pkcs11js'); readonly library: PKCS11 };

/**
 * Loads a PKCS#11 library. The bindings are an optional package: where they could not be built, this says so.
 * @throws PkiError `no-key-store`
 */
export async function loadModule(path: string): Promise<LoadedModule> {
  let bindings: typeof import('pkcs11js');
  try {
    const loaded = await import('pkcs11js');
    bindings = loaded.default ?? loaded;
  } catch (cause) {
    throw new PkiError(
      'no-key-store',
      'pkcs11: the optional package pkcs11js is not there; install it with a C++ compiler at hand',
      { cause },
    );
  }
  const library = new bindings.PKCS11();
  try {
    library.load(path);
  } catch (cause) {
    throw new PkiError('no-key-store', `pkcs11: ${path} is no PKCS#11 library that can be loaded`, { cause });
  }
  return { bindings, library };
}
