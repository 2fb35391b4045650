import type { SignedStatement, StatementAction } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from './cli-error.ts';
import { proofOf } from './root-key.ts';

/** Where a command finds the proof that whoever registers a CA has its key. */
export type PossessionOptions = {
  readonly key?: string;
  readonly keyPassphraseFile?: string;
  readonly caStatement?: string;
  readonly caSignature?: string;
  readonly waive?: string;
};

/** The options by which a command is given that proof. */
export function withPossession(command: Command): Command {
  return command
    .option('--key <file>', 'the key of the CA: signs the proof of possession here, and is sent nowhere')
    .option('--key-passphrase-file <file>', 'its passphrase')
    .option('--ca-statement <file>', 'a statement made by "ca statement" …')
    .option('--ca-signature <file>', '… and its signature, made where the CA is')
    .option('--waive <reason>', 'platform administrators: without proof; the reason goes into the audit log');
}

/** @throws CliError where none is given, or two */
export async function possessionOf(
  { key, keyPassphraseFile, caStatement, caSignature, waive: waiver }: PossessionOptions,
  facts: { readonly action: StatementAction; readonly account: string; readonly subject: string },
): Promise<{ readonly possession?: SignedStatement; readonly waiver?: string }> {
  const possession = await proofOf(
    {
      ...(key === undefined ? {} : { rootKey: key }),
      ...(keyPassphraseFile === undefined ? {} : { rootPassphraseFile: keyPassphraseFile }),
      ...(caStatement === undefined ? {} : { statement: caStatement }),
      ...(caSignature === undefined ? {} : { signature: caSignature }),
    },
    facts,
  );
  if ((possession === undefined) === (waiver === undefined))
    throw new CliError('give --key, or --ca-statement with --ca-signature, or --waive <reason>');
  return {
    ...(possession === undefined ? {} : { possession }),
    ...(waiver === undefined ? {} : { waiver }),
  };
}
