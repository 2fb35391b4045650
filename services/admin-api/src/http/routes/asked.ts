import type { Operator } from '../../domain/token/api-token.ts';
import { isAllowed } from '../../domain/token/permission.ts';

/** Who asks, for operations of which some are the platform's: `byPlatform` where the operator's role is in every account. */
export function asked({ name, grants }: Operator): { readonly by: string; readonly byPlatform: boolean } {
  return { by: name, byPlatform: isAllowed(grants, 'platform:write', '*') };
}
