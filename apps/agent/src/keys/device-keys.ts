import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { generateKeyPair, keySigner, type Signer } from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import type { KeyHolder, NoteKey } from './key-holder.ts';
import { isPkcs11Key, pkcs11Holder } from './pkcs11-holder.ts';
import { tpmHolder } from './tpm-holder.ts';

export type KeyPlace = 'file' | KeyHolder['kind'];

/**
 * The device's keys, wherever each is: the text of one, as it lies in the device folder, says who holds it. New ones are
 * made where `--key` says.
 */
export class DeviceKeys {
  readonly #maker: KeyHolder | undefined;
  readonly #holders: readonly KeyHolder[];

  /** That nobody said where new keys are made. */
  readonly isImplied: boolean;

  /** @param maker where new keys are made; undefined: in the device folder itself */
  constructor(maker?: KeyHolder, { isImplied = false }: { readonly isImplied?: boolean } = {}) {
    this.#maker = maker;
    this.isImplied = isImplied;
    this.#holders = maker === undefined ? [tpmHolder()] : [maker, tpmHolder()];
  }

  /** Who holds a key; undefined where the text is the key itself. @throws AgentError `bad-key` */
  holderOf(text: string): KeyHolder | undefined {
    const holder = this.#holders.find((candidate) => candidate.owns(text));
    if (holder === undefined && isPkcs11Key(text))
      throw new AgentError('bad-key', 'key: lies in a PKCS#11 token; say which with --key pkcs11:…');
    return holder;
  }

  /** Where new keys are made. */
  get place(): KeyPlace {
    return this.#maker?.kind ?? 'file';
  }

  /** Where a key is. @throws AgentError `bad-key` */
  placeOf(text: string): KeyPlace {
    return this.holderOf(text)?.kind ?? 'file';
  }

  /** Whether a key is at hand, or with its holder. @throws AgentError `bad-key`, `key-holder`, `pin-refused` */
  async has(text: string): Promise<boolean> {
    return (await this.holderOf(text)?.has(text)) ?? true;
  }

  publicKey(text: string): KeyObject {
    return this.holderOf(text)?.publicKey(text) ?? createPublicKey(createPrivateKey(text));
  }

  signer(text: string): Signer {
    return this.holderOf(text)?.signer(text) ?? keySigner(createPrivateKey(text));
  }

  /** Makes a P-256 key. @throws AgentError `key-holder` */
  async create(note?: NoteKey): Promise<string> {
    if (this.#maker !== undefined) return this.#maker.create(note);
    return generateKeyPair('P-256').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  /** Destroys a key that takes up room in its holder, by the name that was noted; false where it is another's. */
  async remove(name: string): Promise<boolean> {
    return (await this.#maker?.remove?.(name)) ?? false;
  }
}

/**
 * Reads `--key`: `file:`, `tpm:` or `tpm:<tcti>`, `pkcs11:token=…?module-path=…&pin-source=file:…`.
 * @param spec undefined: nobody said, and it is `file:`
 * @param folder where it is remembered that a token refused a PIN; undefined: in this process alone
 * @throws AgentError `bad-key-spec`
 */
export function parseKeys(spec?: string, folder?: string): DeviceKeys {
  if (spec === undefined) return new DeviceKeys(undefined, { isImplied: true });
  if (spec === 'file:' || spec === 'file') return new DeviceKeys();
  if (spec === 'tpm:' || spec === 'tpm') return new DeviceKeys(tpmHolder());
  if (spec.startsWith('tpm:')) return new DeviceKeys(tpmHolder(spec.slice('tpm:'.length)));
  if (isPkcs11Key(spec)) return new DeviceKeys(pkcs11Holder(spec, folder));
  throw new AgentError('bad-key-spec', `--key: "${spec}" is none of file:, tpm:[<tcti>], pkcs11:<uri>`);
}
