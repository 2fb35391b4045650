import { createPrivateKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { PkiStatement, SignedStatement, StatementAction } from '@signet/contracts';
import { type Command, Option } from 'commander';
import { CliError } from './cli-error.ts';
import { readBytes, readText } from './read-input.ts';

/** Where a command finds the proof that the owner of the root wants a change. */
export type ProofOptions = {
  readonly rootKey?: string;
  readonly rootPassphraseFile?: string;
  /** From the environment. */
  readonly rootPassphrase?: string;
  readonly statement?: string;
  readonly signature?: string;
};

/** The options by which a command is given the proof. */
export function withRootKey(command: Command): Command {
  return command
    .option('--root-key <file>', 'the key of your root: signs the change here, and is sent nowhere')
    .option('--root-passphrase-file <file>', 'its passphrase (SIGNET_ROOT_PASSPHRASE)')
    .addOption(new Option('--root-passphrase <text>').env('SIGNET_ROOT_PASSPHRASE').hideHelp())
    .option('--statement <file>', 'a statement made by "ca statement" …')
    .option('--signature <file>', '… and its signature, made where the root is');
}

/**
 * Signs a statement with the root's key file, here: the key does not leave this machine. Or takes a statement that was
 * made by `ca statement` and signed elsewhere. Undefined where neither is given.
 */
export async function proofOf(
  options: ProofOptions,
  facts: { readonly action: StatementAction; readonly account: string; readonly subject: string },
): Promise<SignedStatement | undefined> {
  if (options.statement !== undefined) {
    if (options.signature === undefined) throw new CliError('--statement: give --signature <file> too');
    return {
      statement: await readText(options.statement),
      signature: (await readBytes(options.signature)).toString('base64'),
    };
  }
  if (options.rootKey === undefined) return undefined;
  return signStatement(await readRootKey(options.rootKey, await passphraseOf(options)), facts);
}

/** The passphrase of the root's key file, if one is given. */
export async function passphraseOf({
  rootPassphraseFile,
  rootPassphrase,
}: ProofOptions): Promise<string | undefined> {
  return rootPassphraseFile === undefined ? rootPassphrase : (await readText(rootPassphraseFile)).trim();
}

/** @throws CliError where the file holds no private key, or does not open */
export async function readRootKey(path: string, passphrase: string | undefined): Promise<KeyObject> {
  const key = await readText(path);
  try {
    return createPrivateKey({ key, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    throw new CliError(
      `--root-key ${path}: not a private key, or the passphrase is wrong (--root-passphrase-file, SIGNET_ROOT_PASSPHRASE)`,
      { cause },
    );
  }
}

export function newStatement(facts: {
  readonly action: StatementAction;
  readonly account: string;
  readonly subject: string;
}): string {
  const statement: PkiStatement = {
    ...facts,
    nonce: randomBytes(16).toString('hex'),
    issuedAt: new Date().toISOString(),
  };
  return JSON.stringify(statement);
}

export function signStatement(key: KeyObject, facts: Parameters<typeof newStatement>[0]): SignedStatement {
  const statement = newStatement(facts);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const hash = key.asymmetricKeyType === 'ed25519' ? null : curve === 'secp384r1' ? 'sha384' : 'sha256';
  return { statement, signature: sign(hash, Buffer.from(statement), key).toString('base64') };
}
