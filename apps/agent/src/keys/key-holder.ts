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
  /** Makes a P-256 key that does not leave its holder. @throws AgentError `key-holder` */
  create(): Promise<string>;
  /** How OpenSSL comes to the key. */
  openssl(text: string): Promise<OpensslKey>;
  /** That it holds the key, in the words of the holder; `ask` gets the nonce from a server. */
  attest?(text: string, ask: AskNonce): Promise<TpmStatement | undefined>;
}

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
};
