import type { TbsFacts } from '../certificate.ts';
import { PkiError } from '../pki-error.ts';
import { authorityBit } from './lints/authority-bit.ts';
import { extendedKeyUsage } from './lints/extended-key-usage.ts';
import { keyIdentifiers } from './lints/key-identifiers.ts';
import { keyUsage } from './lints/key-usage.ts';
import { names } from './lints/names.ts';
import { ocspNoCheck } from './lints/ocsp-no-check.ts';
import { onlyKnownExtensions } from './lints/only-known-extensions.ts';
import { publicKey } from './lints/public-key.ts';
import { serialNumber } from './lints/serial-number.ts';
import { subject } from './lints/subject.ts';
import { validity } from './lints/validity.ts';
import type { Template } from './template.ts';

/** One rule that every certificate keeps. */
export type Lint = {
  readonly name: string;
  /** Where the rule is written. */
  readonly citation: string;
  /** Why the certificate breaks the rule; nothing where it keeps it. */
  check(certificate: TbsFacts, template: Template): string | undefined;
};

/** All rules, in the order of the certificate's fields. */
export const lints: readonly Lint[] = [
  serialNumber,
  validity,
  subject,
  publicKey,
  authorityBit,
  keyUsage,
  extendedKeyUsage,
  keyIdentifiers,
  names,
  ocspNoCheck,
  onlyKnownExtensions,
];

/** Throws `lint`, with field, reason and citation, at the first rule that the certificate breaks. */
export function runLints(certificate: TbsFacts, template: Template): void {
  for (const lint of lints) {
    const reason = lint.check(certificate, template);
    if (reason !== undefined) throw new PkiError('lint', `${lint.name}: ${reason} (${lint.citation})`);
  }
}
