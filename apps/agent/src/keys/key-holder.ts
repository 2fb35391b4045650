import type { KeyObject } from 'node:crypto';
import type { Credential, TpmStatement } from '@signet/attestation';
import type { Signer } from '@signet/pki';

/**
 * What keeps private keys for the device, and uses them for it. The device folder has the text by which it finds one:
 * of no use anywhere else.
 */
export interface KeyHolder {
  readonly kind: 'tpm' | 'pkcs11';
  /** Whether a text is one of its own. */
  owns(text: string): boolean;
  /** @throws AgentError `bad-key` */
  publicKey(text: string): KeyObject;
  signer(text: string): Signer;
  /**
   * ECDH: the X coordinate of the key times a point of P-256.
   * @throws AgentError `bad-key` for one that was made to sign only, `key-holder`
   */
  agree(text: string, point: Uint8Array): Promise<Uint8Array>;
  /**
   * Makes a P-256 key that does not leave its holder. A holder in which it takes up room has its name noted before.
   * @throws AgentError `key-holder`
   */
  create(note?: NoteKey): Promise<string>;
  /** Whether it has this key: one that another TPM or token has is of no use here. @throws AgentError `key-holder`, `pin-refused` */
  has(text: string): Promise<boolean>;
  /** Destroys a key by the name that was noted; false where another holder would have it. @throws AgentError `key-holder` */
  remove?(name: string): Promise<boolean>;
  /** How OpenSSL comes to the key. */
  openssl(text: string): Promise<OpensslKey>;
  /** That it holds the key, in the words of the holder; `ask` gets the nonce from a server. */
  attest?(text: string, ask: AskNonce): Promise<TpmStatement | undefined>;
}

/** Keeps the name of a key that is about to be made: what a cut leaves can be found by it. */
export type NoteKey = (name: string) => Promise<void>;

/** Asks a server for a nonce that only this TPM can read. */
export type AskNonce = (asked: {
  readonly attestationKey: Uint8Array;
  readonly certificates: readonly Uint8Array[];
}) => Promise<Credential>;

export type OpensslKey = {
  /** Of `openssl s_client`; a file of `files` is named by `@` and its name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Name → content; written for the owner alone, and removed with the connection. */
  readonly files: Readonly<Record<string, string>>;
  /** Given to the child by a pipe, which {@link SECRET_BY_PIPE} names: it lies in no file and no environment. */
  readonly secret?: string;
};

/** How an argument of OpenSSL names the secret of its caller. */
export const SECRET_BY_PIPE = 'fd:3';
