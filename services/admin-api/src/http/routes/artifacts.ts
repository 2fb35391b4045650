import type { Bus } from '@signet/bus';
import { ARTIFACT_TYPE, ArtifactStatement, signStatement } from '@signet/contracts';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing } from './shapes.ts';

export function artifactRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/artifacts/sign',
      summary: 'Sign what is said of a software artifact, so that devices of the account take it',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: ArtifactStatement,
      response: signStatement.output,
      handle: ({ params: { account }, body }) => {
        const payload = Buffer.from(JSON.stringify(body)).toString('base64url');
        return bus.request(signStatement, { account, type: ARTIFACT_TYPE, payload });
      },
    }),
  ];
}
