import { Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Context } from '../context.ts';
import { proveIdentity } from '../domain/handoff/prove-identity.ts';

const Request = z.object({
  certificate: z.string().max(16_384),
  signature: z.base64().min(1).max(2048),
});

/**
 * `POST /v1/bootstrap/identities`: a device that shows one bootstrap certificate proves its other one (F15). Body:
 * `certificate`, the other one, and `signature`, base64, by its key over the lines `signet-identity`, SHA-256 of the
 * certificate of the connection, SHA-256 of the other (hex, each line ended by LF).
 */
export function identityRoutes(
  app: FastifyInstance,
  ctx: Pick<Context, 'devices' | 'trust' | 'now'>,
  refuse: (facts: RefusalFacts) => void,
): void {
  app.post('/v1/bootstrap/identities', async (request) => {
    const peer = peerOf(request.raw.socket);
    if (peer === undefined) throw refusalProblem('no-certificate');
    const { fingerprint } = peer.facts;
    const where = { listener: 'bootstrap', address: request.ip, fingerprint } as const;
    const asked = Request.safeParse(request.body);
    if (!asked.success) {
      const message = 'body: {"certificate": "<PEM>", "signature": "<base64>"} expected';
      refuse({ ...where, code: 'malformed-request', message, deviceId: peer.deviceId });
      throw new Problem(400, 'malformed-request', message);
    }
    const result = await proveIdentity(ctx, {
      connection: peer.certificate,
      certificate: asked.data.certificate,
      signature: Buffer.from(asked.data.signature, 'base64'),
    });
    if (result.kind === 'proven')
      return { fingerprint: result.fingerprint, secondFingerprint: result.secondFingerprint };
    const { code, message, account, deviceId = peer.deviceId } = result;
    refuse({ ...where, code, message, account, deviceId });
    throw new Problem(403, code, 'this identity is not taken up');
  });
}
