import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AuthorityKeyType,
  createKeyFile,
  openKeyFile,
  openPkcs11Token,
  type Pkcs11Token,
  PkiError,
  parseCertificatePem,
  parsePkcs11Uri,
  passphraseFile,
  type Signer,
} from '@signet/pki';
import {
  AuthorityError,
  type AuthorityKeys,
  type KeyPlace,
  type OpenedKey,
  type WantedKey,
} from '../domain/authority/authority.ts';
import type { ResponderKeys } from '../domain/ocsp/responders.ts';

/** How often a token is looked for that does not answer, and one that is not used is asked. */
const PROBE_MS = 5000;

export type KeyStores = AuthorityKeys &
  AsyncDisposable & {
    /** Why a key store does not answer, if one does not. */
    failure(): string | undefined;
  };

/**
 * Keys in files and, where one is configured, in a PKCS#11 token, which may come and go.
 * @throws PkiError `bad-key-uri`, `no-key-store`
 */
export async function openKeyStores(options: {
  readonly folder: string;
  /** RFC 7512, with `module-path`. */
  readonly tokenUri?: string | undefined;
  readonly pin?: string | undefined;
  /** Where new keys are made unless something else is asked for. */
  readonly custody: KeyPlace['custody'];
  readonly probeMs?: number;
}): Promise<KeyStores> {
  const files = await keyFolder(options.folder);
  const token =
    options.tokenUri === undefined
      ? undefined
      : await openPkcs11Token(parsePkcs11Uri(options.tokenUri), { pin: options.pin });
  if (token === undefined && options.custody === 'pkcs11')
    throw new PkiError('no-key-store', 'SIGNET_EST_KEYS: "pkcs11" needs SIGNET_EST_PKCS11');
  const timer = token === undefined ? undefined : keepProbing(token, options.probeMs ?? PROBE_MS);
  return {
    async openOrCreate(id, { custody = options.custody, type } = {}) {
      if (custody === 'file') return files.openOrCreate(id, { type });
      const { signer, uri } = await required(token).openOrCreate(id, type);
      return { custody, keyUri: uri, signer };
    },
    async open(document) {
      const { id, custody, keyUri, certificate } = document;
      if (custody !== 'pkcs11') return files.open(document);
      const { object = id } = keyUri === undefined ? {} : parsePkcs11Uri(keyUri);
      return token?.signer(object, parseCertificatePem(certificate).publicKey);
    },
    failure: () => token?.failure(),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await token?.[Symbol.asyncDispose]();
    },
  };
}

function required(token: Pkcs11Token | undefined): Pkcs11Token {
  if (token !== undefined) return token;
  throw new AuthorityError('no-key-store', 'custody: no PKCS#11 token is configured (SIGNET_EST_PKCS11)');
}

function keepProbing(token: Pkcs11Token, everyMs: number): NodeJS.Timeout {
  const probe = () => void token.probe().catch(() => {});
  probe();
  const timer = setInterval(probe, everyMs);
  return timer.unref();
}

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
  openOrCreate(authorityId: string, wanted?: WantedKey): Promise<OpenedKey>;
  open(authority: { readonly id: string }): Promise<Signer | undefined>;
};

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

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

/** Keys of OCSP responders: one for each CA. */
export function responderKeys(folder: string): ResponderKeys {
  return purposeKeys(folder, 'ocsp');
}
