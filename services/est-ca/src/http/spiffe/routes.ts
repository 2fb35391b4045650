import { Account } from '@signet/contracts';
import { Problem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { AuthorityDocument } from '../../domain/authority/authority.ts';
import { trustBundle } from './trust-bundle.ts';

/**
 * `GET /spiffe/<account>/bundle.json`: the bundle endpoint of SPIFFE Federation §5 (profile https_web), on the EST
 * listener, for a bundle is worth no more than the connection that it came over.
 */
export function spiffeRoutes(
  app: FastifyInstance,
  deps: {
    readonly readAuthorities: () => Promise<readonly AuthorityDocument[]>;
    readonly now: () => number;
  },
): void {
  app.get<{ Params: { account: string } }>('/spiffe/:account/bundle.json', async (request, reply) => {
    const { account } = request.params;
    if (!Account.safeParse(account).success) throw new Problem(404, 'not-found', 'no such account');
    const bundle = trustBundle(await deps.readAuthorities(), account, deps.now());
    return reply
      .header('Cache-Control', `max-age=${bundle.spiffe_refresh_hint}`)
      .type('application/json')
      .send(bundle);
  });
}
