import { Account } from '@signet/contracts';
import { z } from 'zod';

/** Roles of operators and of programs. */
export const Role = z.enum(['viewer', 'operator', 'admin', 'factory', 'installer', 'registrar']);
export type Role = z.infer<typeof Role>;

export type Permission =
  | 'factory:sign'
  | 'factory:read'
  | 'devices:read'
  | 'devices:claim'
  | 'devices:write'
  | 'devices:register'
  | 'certificates:revoke'
  | 'profiles:write'
  | 'pki:write'
  | 'events:read'
  | 'queues:write'
  | 'denylist:write'
  | 'audit:read'
  | 'tokens:write'
  | 'platform:write';

const reads: readonly Permission[] = ['factory:read', 'devices:read', 'events:read'];
const operates: readonly Permission[] = [
  ...reads,
  'devices:claim',
  'devices:write',
  'devices:register',
  'certificates:revoke',
  'profiles:write',
  'denylist:write',
  'queues:write',
];

/** What a budget is used up by: a token that has one may call only what counts it. */
export const spends: ReadonlySet<Permission> = new Set(['factory:sign', 'devices:claim', 'devices:register']);

const permissionsOf = {
  viewer: reads,
  operator: operates,
  admin: [...operates, 'factory:sign', 'pki:write', 'audit:read', 'tokens:write', 'platform:write'],
  factory: ['factory:sign', 'factory:read'],
  installer: ['devices:claim'],
  registrar: ['devices:register'],
} as const satisfies Record<Role, readonly Permission[]>;

/** A role in one account, or in every account (`*`). */
export const RoleGrant = z.object({ account: z.union([Account, z.literal('*')]), role: Role });
export type RoleGrant = z.infer<typeof RoleGrant>;

/** What concerns no single account (`account` is `*`) needs a role in every account. */
export function isAllowed(grants: readonly RoleGrant[], permission: Permission, account: string): boolean {
  return grants.some(
    (grant) =>
      (grant.account === '*' || grant.account === account) &&
      (permissionsOf[grant.role] as readonly Permission[]).includes(permission),
  );
}
