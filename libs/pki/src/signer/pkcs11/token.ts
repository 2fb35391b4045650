import { type KeyObject, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { AuthorityKeyType } from '../../keys.ts';
import { PinRefusedError, PkiError } from '../../pki-error.ts';
import { hashOf, signatureAlgorithmFor } from '../../signature-algorithm.ts';
import type { Signer } from '../signer.ts';
import { agreeInToken } from './agreement.ts';
import { formatPkcs11Uri, type Pkcs11Uri } from './key-uri.ts';
import { type LoadedModule, loadModule } from './module.ts';
import { mechanismFor } from './signature.ts';
import {
  findObject,
  generateKey,
  type KeyPurpose,
  labelsOf,
  readPublicKey,
  removeKey,
} from './token-keys.ts';

/** A token whose keys sign, and never leave it. */
export interface Pkcs11Token extends AsyncDisposable {
  /** Why the last use failed, or that there was none yet; undefined while the token answers. */
  failure(): string | undefined;
  /** Looks whether the token answers; whoever went away comes back by this too. */
  probe(): Promise<void>;
  /**
   * The key of this label, made (not extractable; P-256 unless said otherwise) where there is none.
   * @throws PkiError `signer-failed` where the token is unavailable
   */
  openOrCreate(
    label: string,
    type?: AuthorityKeyType,
    purpose?: KeyPurpose,
  ): Promise<{ readonly signer: Signer; readonly uri: string }>;
  /** A signer for a key whose public half is known: the token may be unavailable until something is to be signed. */
  signer(label: string, publicKey: KeyObject): Signer;
  /** ECDH: the X coordinate of the P-256 key of this label times a point. @throws PkiError `unsupported-key`, `signer-failed` */
  agree(label: string, point: Uint8Array): Promise<Uint8Array>;
  /** Whether the token has a private key of this label. */
  has(label: string): Promise<boolean>;
  /** The labels of its private keys. */
  labels(): Promise<readonly string[]>;
  /** Destroys both halves of the key of this label; one that is not there is ignored. */
  remove(label: string): Promise<void>;
}

/** A token that answered so recently need not be looked for. */
const RECENT_MS = 4000;

type Session = { readonly handle: Buffer; readonly keys: Map<string, Buffer> };

/**
 * Opens a token by its URI, which has to have `module-path`, and `token` or `serial`. The PIN is `pin`, else
 * `pin-value`, else the content of the file `pin-source`. Does not wait for the token: one that is unavailable is looked for
 * again at each use, and its module is initialized anew, since a module may not see a token that came back.
 * @throws PkiError `bad-key-uri`, `no-key-store`
 */
export async function openPkcs11Token(
  uri: Pkcs11Uri,
  options: { readonly pin?: string | undefined } = {},
): Promise<Pkcs11Token> {
  const { modulePath, token, serial } = uri;
  if (modulePath === undefined) throw new PkiError('bad-key-uri', 'key URI: module-path is missing');
  if (token === undefined && serial === undefined)
    throw new PkiError('bad-key-uri', 'key URI: token (its label) or serial is missing');
  return new OpenToken(uri, await loadModule(modulePath), await pinOf(uri, options.pin));
}

async function pinOf(
  { pinValue, pinSource }: Pkcs11Uri,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined || pinSource === undefined) return given ?? pinValue;
  const path = pinSource.replace(/^file:(\/\/)?/, '');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new PkiError('bad-key-uri', `key URI: pin-source ${path} cannot be read`, { cause });
  }
}

class OpenToken implements Pkcs11Token {
  readonly #uri: Pkcs11Uri;
  readonly #module: LoadedModule;
  readonly #pin: string | undefined;
  #session: Session | undefined;
  #failure: string | undefined;
  #pinRefused: PinRefusedError | undefined;
  #usedAt = Number.NEGATIVE_INFINITY;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(uri: Pkcs11Uri, module: LoadedModule, pin: string | undefined) {
    this.#uri = uri;
    this.#module = module;
    this.#pin = pin;
    this.#failure = `pkcs11: token "${uri.token ?? uri.serial}" has not been opened yet`;
  }

  failure(): string | undefined {
    return this.#failure;
  }

  /** What was just used answers; else the module is begun anew, since a session may not notice that its token is gone. */
  async probe(): Promise<void> {
    if (performance.now() - this.#usedAt < RECENT_MS) return;
    await this.#use((session) => {
      findObject(this.#module, session.handle, this.#module.bindings.CKO_PRIVATE_KEY, '');
    }, 'anew');
  }

  has(label: string): Promise<boolean> {
    return this.#use((session) => this.#find(session, label) !== undefined);
  }

  labels(): Promise<readonly string[]> {
    return this.#use((session) => labelsOf(this.#module, session.handle));
  }

  remove(label: string): Promise<void> {
    return this.#use((session) => {
      removeKey(this.#module, session.handle, label);
      session.keys.delete(label);
    });
  }

  openOrCreate(
    label: string,
    type: AuthorityKeyType = 'P-256',
    purpose: KeyPurpose = 'sign',
  ): Promise<{ readonly signer: Signer; readonly uri: string }> {
    return this.#use((session) => {
      if (this.#find(session, label) === undefined)
        generateKey(this.#module, session.handle, { label, type, purpose });
      const publicKey = readPublicKey(this.#module, session.handle, label);
      return { signer: this.signer(label, publicKey), uri: formatPkcs11Uri({ ...this.#uri, object: label }) };
    });
  }

  signer(label: string, publicKey: KeyObject): Signer {
    const algorithm = signatureAlgorithmFor(publicKey);
    const { name, input, output, maxLength } = mechanismFor(algorithm, publicKey);
    return {
      algorithm,
      publicKey,
      sign: (data) =>
        this.#use(async (session) => {
          const { bindings, library } = this.#module;
          const key = this.#demand(session, label);
          library.C_SignInit(session.handle, { mechanism: bindings[name] }, key);
          const raw = await library.C_SignAsync(session.handle, input(data), Buffer.alloc(maxLength));
          const signature = output(raw);
          if (!verify(hashOf(algorithm), data, publicKey, signature))
            throw new PkiError('signer-failed', `pkcs11: key "${label}" is not the one in the certificate`);
          return signature;
        }),
    };
  }

  agree(label: string, point: Uint8Array): Promise<Uint8Array> {
    return this.#use((session) =>
      agreeInToken(this.#module, session.handle, this.#demand(session, label), { label, point }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.catch(() => {});
    if (this.#session !== undefined)
      this.#quietly(() => this.#module.library.C_CloseSession(this.#session?.handle ?? Buffer.alloc(0)));
    this.#session = undefined;
  }

  /** One at a time: a session does one thing at once. What fails in a session is tried once more in a new one. */
  #use<T>(step: (session: Session) => T | Promise<T>, how?: 'anew'): Promise<T> {
    const result = this.#queue
      .catch(() => {})
      .then(() => {
        if (how === 'anew') this.#session = undefined;
        return this.#attempt(step);
      });
    this.#queue = result;
    return result;
  }

  async #attempt<T>(step: (session: Session) => T | Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const fresh = this.#session === undefined;
      try {
        this.#session ??= this.#open();
        const result = await step(this.#session);
        this.#failure = undefined;
        this.#usedAt = performance.now();
        return result;
      } catch (cause) {
        this.#session = undefined;
        this.#usedAt = Number.NEGATIVE_INFINITY;
        if (!fresh && attempt === 1) continue;
        const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
        const isPin = cause instanceof PinRefusedError;
        this.#failure = isPin
          ? `${cause.message}; it is not tried again before a restart`
          : `pkcs11: token "${this.#name}" does not answer (${reason})`;
        if (cause instanceof PkiError) throw cause;
        throw new PkiError('signer-failed', this.#failure, { cause });
      }
    }
  }

  /** The module is begun anew: one that runs may not see a token that was unavailable. */
  #open(): Session {
    const { bindings, library } = this.#module;
    this.#quietly(() => library.C_Finalize());
    library.C_Initialize({ flags: bindings.CKF_OS_LOCKING_OK });
    const slot = library.C_GetSlotList(true).find((candidate) => {
      const { label, serialNumber } = library.C_GetTokenInfo(candidate);
      const { token = label.trim(), serial = serialNumber.trim() } = this.#uri;
      return label.trim() === token && serialNumber.trim() === serial;
    });
    if (slot === undefined) throw new Error('no such token in any slot');
    const flags = bindings.CKF_SERIAL_SESSION | bindings.CKF_RW_SESSION;
    const handle = library.C_OpenSession(slot, flags);
    if (this.#pin !== undefined) this.#login(handle, this.#pin);
    // its public objects can be seen without a PIN, which would be taken for an answer
    else if ((library.C_GetTokenInfo(slot).flags & bindings.CKF_LOGIN_REQUIRED) !== 0)
      throw new Error('it asks for a PIN, and none is configured');
    return { handle, keys: new Map() };
  }

  /** A PIN that was refused once is not tried again: a token locks itself after a few tries. */
  #login(handle: Buffer, pin: string): void {
    const { bindings, library } = this.#module;
    if (this.#pinRefused !== undefined) throw this.#pinRefused;
    try {
      library.C_Login(handle, bindings.CKU_USER, pin);
    } catch (cause) {
      const [reason] = /CKR_PIN_[A-Z_]+/.exec(cause instanceof Error ? cause.message : '') ?? [];
      if (reason === undefined) throw cause;
      this.#pinRefused = new PinRefusedError(this.#name, reason, { cause });
      throw this.#pinRefused;
    }
  }

  get #name(): string {
    return this.#uri.token ?? this.#uri.serial ?? '';
  }

  #demand(session: Session, label: string): Buffer {
    const key = this.#find(session, label);
    if (key === undefined) throw new PkiError('signer-failed', `pkcs11: the token has no key "${label}"`);
    return key;
  }

  #find(session: Session, label: string): Buffer | undefined {
    const known = session.keys.get(label);
    if (known !== undefined) return known;
    const { CKO_PRIVATE_KEY } = this.#module.bindings;
    const key = findObject(this.#module, session.handle, CKO_PRIVATE_KEY, label);
    if (key !== undefined) session.keys.set(label, key);
    return key;
  }

  #quietly(step: () => void): void {
    try {
      step();
    } catch {
      // it was not initialized, or is gone
    }
  }
}
