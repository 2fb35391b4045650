import { DeviceId, GroupName } from '@signet/contracts';
import { peerOf, type RefusalFacts } from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type Registrant, registerByCertificate } from '../domain/registration/collect-bootstrap.ts';
import { withRefusals } from './problems.ts';

/** What a device may send. `details` is shown to operators; nothing of it is proven. */
const Request = z
  .object({
    csr: z.string().min(1).max(32_768),
    deviceId: DeviceId.optional(),
    group: GroupName.optional(),
    details: z
      .record(z.string().min(1).max(64), z.string().max(256))
      .refine((details) => Object.keys(details).length <= 32, 'at most 32 entries')
      .optional(),
  })
  .strict();

/**
 * `POST /v1/register`, with a registration certificate: 202 and Retry-After while an operator has not decided; 200 with
 * the bootstrap certificate, which then goes the usual way; 403 where it was declined or the certificate may not
 * register it; 409 where another key was first. The device repeats the same request until it has an answer.
 */
export function registerRoutes(
  app: FastifyInstance,
  ctx: Parameters<typeof registerByCertificate>[0],
  {
    refuse,
    retrySeconds,
  }: {
    readonly refuse: (facts: RefusalFacts) => void;
    readonly retrySeconds: number;
  },
): void {
  app.post('/v1/register', { config: { admits: ['registration'] } }, async (request, reply) => {
    const registrant = registrantOf(request);
    const result = await withRefusals(refuse, registrant, async () =>
      registerByCertificate(ctx, registrant, Request.parse(request.body ?? {})),
    );
    reply.header('cache-control', 'no-store');
    if (result.kind === 'waiting') {
      const { id: requestId, deviceId, state, expiresAt } = result.document;
      return reply
        .status(202)
        .header('retry-after', String(retrySeconds))
        .send({ state, requestId, deviceId, expiresAt });
    }
    const { account, deviceId, certificate, id: fingerprint } = result.record;
    const { chain, trustAnchors } = result;
    return { state: 'issued', account, deviceId, fingerprint, certificate, chain, trustAnchors };
  });
}

/** The holder of the registration certificate of this connection. */
function registrantOf(request: {
  readonly raw: { readonly socket: object };
  readonly ip: string;
}): Registrant {
  const peer = peerOf(request.raw.socket);
  if (peer?.purpose !== 'registration' || peer.account === undefined)
    throw new Error('a route of registration certificates was called with another one');
  return { account: peer.account, fingerprint: peer.facts.fingerprint, address: request.ip };
}
