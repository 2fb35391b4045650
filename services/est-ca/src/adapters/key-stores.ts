import {
  openPkcs11Token,
  type Pkcs11Token,
  PkiError,
  parseCertificatePem,
  parsePkcs11Uri,
} from '@signet/pki';
import { AuthorityError } from '../domain/authority/authority-error.ts';
import type { AuthorityKeys, KeyPlace } from '../domain/authority/keys.ts';
import { keyFolder } from './key-folder.ts';

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
