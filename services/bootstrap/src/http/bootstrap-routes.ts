import { Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import type { HandOverResult } from '../domain/hand-over/hand-over.ts';

/**
 * `POST /v1/bootstrap`: 200 with the bundle; 202 and Retry-After while no account has claimed the device; 403 where it
 * is blocked, retired or unknown. The body is not read: all that counts is the certificate.
 */
export function bootstrapRoutes(
  app: FastifyInstance,
  options: {
    readonly handOver: (fingerprint: string) => Promise<HandOverResult>;
    readonly refuse: (facts: RefusalFacts) => void;
    readonly retrySeconds: number;
  },
): void {
  app.post('/v1/bootstrap', async (request, reply) => {
    const peer = peerOf(request.raw.socket);
    if (peer === undefined) throw refusalProblem('no-certificate');
    const { fingerprint } = peer.facts;
    const result = await options.handOver(fingerprint);
    if (result.kind === 'bundle') return reply.header('cache-control', 'no-store').send(result.bundle);
    const { code, message, account, deviceId = peer.deviceId } = result;
    options.refuse({
      ...{ code, message, account, deviceId, fingerprint },
      listener: 'bootstrap',
      address: request.ip,
    });
    if (result.kind === 'refuse') throw new Problem(403, code, 'this device is not admitted here');
    return reply
      .status(202)
      .header('retry-after', String(options.retrySeconds))
      .send({ state: result.state });
  });
}
