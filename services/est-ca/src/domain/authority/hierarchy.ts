import type { AuthorityKind } from '@signet/contracts';

/** A CA that the platform makes for itself at its first start. */
export type PlannedAuthority = {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly parent: string;
  readonly commonName: string;
};

/** Parents first. How long each lives: `certify.ts`. */
export const hierarchy: readonly PlannedAuthority[] = [
  { id: 'root', kind: 'root', parent: 'root', commonName: 'Signet Root CA' },
  { id: 'factory', kind: 'factory', parent: 'root', commonName: 'Signet Factory CA' },
  { id: 'issuing', kind: 'issuing', parent: 'root', commonName: 'Signet Issuing CA' },
  { id: 'server', kind: 'server', parent: 'root', commonName: 'Signet Server CA' },
];
