import { Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { FirstContacts } from '../domain/claim/first-contact.ts';
import { BootstrapError } from '../domain/errors.ts';
import type { HandoffRequest, HandoffResult } from '../domain/handoff/hand-off-device.ts';

/** What a device may send. */
const BootstrapRequest = z.object({ csr: z.string().min(1).max(32_768).optional() });

/**
 * `POST /v1/bootstrap`: 200 with the bundle; 202 and Retry-After while no account has claimed the device, or it waits
 * for an operator; 307 with a signed statement to the instance that hands it over; 403 where it is blocked, retired,
 * unknown, or comes with the wrong one of its certificates. Who asks is the certificate's to say; the body may have a
 * CSR.
 */
export function bootstrapRoutes(
  app: FastifyInstance,
  options: {
    readonly handOff: (request: HandoffRequest) => Promise<HandoffResult>;
    readonly refuse: (facts: RefusalFacts) => void;
    /** The accounts that have the factory CA with this key id pinned, in force. */
    readonly pinnedBy: (keyId: string) => readonly string[];
    readonly retrySeconds: number;
  },
): void {
  onlyByPost(app, '/v1/bootstrap');
  app.post('/v1/bootstrap', async (request, reply) => {
    const peer = peerOf(request.raw.socket);
    if (peer === undefined) throw refusalProblem('no-certificate');
    const { fingerprint } = peer.facts;
    const where = { listener: 'bootstrap', address: request.ip, fingerprint } as const;
    const asked = BootstrapRequest.safeParse(request.body ?? {});
    if (!asked.success) {
      const message = 'body: {"csr": "<PKCS#10>"} or nothing expected';
      options.refuse({ ...where, code: 'malformed-request', message, deviceId: peer.deviceId });
      throw new Problem(400, 'malformed-request', message, { field: 'csr' });
    }
    const result = await options.handOff({ fingerprint, ...asked.data });
    if (result.kind === 'bundle') {
      const { account, deviceId } = result.bundle;
      if (result.refusal !== undefined) options.refuse({ ...where, ...result.refusal, account, deviceId });
      return reply.header('cache-control', 'no-store').send(result.bundle);
    }
    if (result.kind === 'redirect') return sendRedirect(reply, result);
    const { code, message, account, deviceId = peer.deviceId } = result;
    const witnesses = code === 'unclaimed' ? options.pinnedBy(peer.issuer.keyId) : [];
    if (witnesses.length > 1) {
      const shared = `${message}; ${witnesses.length} accounts have its CA pinned, and only a claim decides whose it is`;
      for (const each of witnesses)
        options.refuse({ ...where, code, message: shared, account: each, deviceId });
    } else options.refuse({ ...where, code, message, account, deviceId });
    if (result.kind === 'refuse') throw new Problem(403, code, 'this device is not admitted here');
    return reply
      .status(202)
      .header('retry-after', String(options.retrySeconds))
      .send({ state: result.state });
  });
}

/** Whoever tries it by hand asks by GET first. */
function onlyByPost(app: FastifyInstance, url: string): void {
  app.route({
    method: ['GET', 'PUT', 'PATCH', 'DELETE'],
    url,
    handler: async (_request, reply) => {
      reply.header('allow', 'POST');
      throw new Problem(405, 'method-not-allowed', `method: ${url} is asked for by POST`);
    },
  });
}

function sendRedirect(reply: FastifyReply, { url, statement }: Extract<HandoffResult, { kind: 'redirect' }>) {
  const location = new URL('/v1/bootstrap', url).href;
  return reply
    .status(307)
    .header('location', location)
    .header('cache-control', 'no-store')
    .send({ statement });
}

/** Before a device asks for its handoff: is it one that a registered CA made, and that comes for the first time? */
export function guardFirstContact(
  app: FastifyInstance,
  options: FirstContacts & { readonly refuse: (facts: RefusalFacts) => void },
): void {
  app.addHook('preHandler', async (request) => {
    if (request.routeOptions.url !== '/v1/bootstrap') return;
    const peer = peerOf(request.raw.socket);
    const pins = peer?.purpose === 'bootstrap' ? options.pinsOf(peer.issuer.keyId) : [];
    if (peer === undefined || pins.length === 0) return;
    try {
      await options.meet(pins, peer.certificate);
    } catch (error) {
      if (!(error instanceof BootstrapError)) throw error;
      for (const { account } of pins)
        options.refuse({
          ...{ code: 'unknown-device', message: error.message, account },
          deviceId: peer.deviceId,
          fingerprint: peer.facts.fingerprint,
          ...{ listener: 'bootstrap', address: request.ip },
        });
      throw new Problem(403, 'unknown-device', 'this device is not admitted here');
    }
  });
}
