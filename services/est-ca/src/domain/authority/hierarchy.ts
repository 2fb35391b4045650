import type { AuthorityKind } from '@signet/contracts';

/** A CA that the platform makes for itself at its first start. */
export type PlannedAuthority = {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly parent: string;
  readonly commonName: string;
  /** Absent: no well-defined end (99991231235959Z, RFC 5280 §4.1.2.5). */
  readonly years?: number;
};

/**
 * Parents first. Bootstrap certificates have no end (indefinite shelf time), and nothing may outlive its issuer: so
 * neither the factory CA nor the root has one. What signs for the running platform ends after ten years.
 */
export const hierarchy: readonly PlannedAuthority[] = [
  { id: 'root', kind: 'root', parent: 'root', commonName: 'Signet Root CA' },
  { id: 'factory', kind: 'factory', parent: 'root', commonName: 'Signet Factory CA' },
  { id: 'issuing', kind: 'issuing', parent: 'root', commonName: 'Signet Issuing CA', years: 10 },
  { id: 'server', kind: 'server', parent: 'root', commonName: 'Signet Server CA', years: 10 },
];
