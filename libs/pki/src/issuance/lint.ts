import type { TbsFacts } from '../certificate.ts';
import { PkiError } from '../pki-error.ts';
import { alternativeNamesForm } from './lints/alternative-names-form.ts';
import { authorityBit } from './lints/authority-bit.ts';
import { authorityInfoAccess } from './lints/authority-info-access.ts';
import { authorityKeyIdForm } from './lints/authority-key-id-form.ts';
import { criticality } from './lints/criticality.ts';
import { crlDistributionPoints } from './lints/crl-distribution-points.ts';
import { extendedKeyUsage } from './lints/extended-key-usage.ts';
import { issuerName } from './lints/issuer-name.ts';
import { keyIdentifiers } from './lints/key-identifiers.ts';
import { keyUsage } from './lints/key-usage.ts';
import { keyUsageOfKey } from './lints/key-usage-of-key.ts';
import { nameAttributes } from './lints/name-attributes.ts';
import { nameBounds } from './lints/name-bounds.ts';
import { names } from './lints/names.ts';
import { ocspNoCheck } from './lints/ocsp-no-check.ts';
import { onlyKnownExtensions } from './lints/only-known-extensions.ts';
import { publicKey } from './lints/public-key.ts';
import { serialNumber } from './lints/serial-number.ts';
import { signatureAlgorithm } from './lints/signature-algorithm.ts';
import { spiffeId } from './lints/spiffe-id.ts';
import { subject } from './lints/subject.ts';
import { uniqueIdentifiers } from './lints/unique-identifiers.ts';
import { validity } from './lints/validity.ts';
import { validityEncoding } from './lints/validity-encoding.ts';
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
  signatureAlgorithm,
  issuerName,
  validity,
  validityEncoding,
  subject,
  nameAttributes,
  publicKey,
  uniqueIdentifiers,
  authorityBit,
  keyUsage,
  keyUsageOfKey,
  extendedKeyUsage,
  authorityKeyIdForm,
  keyIdentifiers,
  names,
  alternativeNamesForm,
  spiffeId,
  nameBounds,
  crlDistributionPoints,
  authorityInfoAccess,
  ocspNoCheck,
  criticality,
  onlyKnownExtensions,
];

/** Throws `lint`, with field, reason and citation, at the first rule that the certificate breaks. */
export function runLints(certificate: TbsFacts, template: Template): void {
  for (const lint of lints) {
    const reason = lint.check(certificate, template);
    if (reason !== undefined) throw new PkiError('lint', `${lint.name}: ${reason} (${lint.citation})`);
  }
}
