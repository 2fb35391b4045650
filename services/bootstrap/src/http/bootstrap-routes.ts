import type { VerifiedPeer } from '@signet/pki';
import { Problem, peerOf, type RefusalFacts, refusalProblem } from '@signet/service';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Context } from '../context.ts';
import { admitFirstContact } from '../domain/claim/first-contact.ts';
import { inForce } from '../domain/factory/factory-pins.ts';
import {
  type HandoffRequest,
  type HandoffResult,
  refusalReports,
} from '../domain/handoff/hand-off-device.ts';
import { proveIdentity } from '../domain/handoff/prove-identity.ts';
import { BootstrapError } from '../domain/refusals/errors.ts';

type BootstrapContext = Parameters<typeof admitFirstContact>[0] & Pick<Context, 'factories'>;

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
  ctx: BootstrapContext,
  options: {
    readonly handOff: (request: HandoffRequest) => Promise<HandoffResult>;
    readonly refuse: (facts: RefusalFacts) => void;
    readonly retrySeconds: number;
  },
): void {
  const { handOff, refuse, retrySeconds } = options;
  onlyByPost(app, '/v1/bootstrap');
  app.post('/v1/bootstrap', async (request, reply) => {
    const peer = peerOf(request.raw.socket);
    if (peer === undefined) throw refusalProblem('no-certificate');
    const { fingerprint } = peer.facts;
    const where = { listener: 'bootstrap', address: request.ip, fingerprint } as const;
    await admit(ctx, peer, (facts) => refuse({ ...where, ...facts }));
    const body = BootstrapRequest.safeParse(request.body ?? {});
    if (!body.success) {
      const message = 'body: {"csr": "<PKCS#10>"} or nothing expected';
      refuse({ ...where, code: 'malformed-request', message, deviceId: peer.deviceId });
      throw new Problem(400, 'malformed-request', message, { field: 'csr' });
    }
    const result = await handOff({ fingerprint, ...body.data });
    if (result.kind === 'bundle') {
      const { account, deviceId } = result.bundle;
      if (result.refusal !== undefined) refuse({ ...where, ...result.refusal, account, deviceId });
      return reply.header('cache-control', 'no-store').send(result.bundle);
    }
    if (result.kind === 'redirect') return sendRedirect(reply, result);
    const { code, deviceId = peer.deviceId } = result;
    for (const report of refusalReports(ctx, result, peer.issuer.keyId))
      refuse({ ...where, code, deviceId, ...report });
    if (result.kind === 'refuse') throw new Problem(403, code, 'this device is not admitted here');
    return reply.status(202).header('retry-after', String(retrySeconds)).send({ state: result.state });
  });
}

/** The first contact of a device that a registered CA made (F48); any other device is let through. */
async function admit(
  ctx: BootstrapContext,
  { certificate, issuer, deviceId, purpose }: VerifiedPeer,
  refuse: (facts: Pick<RefusalFacts, 'code' | 'message' | 'account' | 'deviceId'>) => void,
): Promise<void> {
  if (purpose !== 'bootstrap') return;
  try {
    await admitFirstContact(ctx, { certificate, issuerKeyId: issuer.keyId });
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    const { message } = error;
    for (const { account } of inForce(ctx.factories.byKeyId(issuer.keyId)))
      refuse({ code: 'unknown-device', message, account, deviceId });
    throw new Problem(403, 'unknown-device', 'this device is not admitted here');
  }
}

/** People who try it by hand use GET first. */
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
