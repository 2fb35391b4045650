import type { Purpose, VerifiedPeer } from '@signet/pki';
import {
  admissionOf,
  Problem,
  type RefusalFacts,
  refusalProblem,
  type SocketAdmission,
  sendProblem,
} from '@signet/service';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Who may call a route of the bootstrap service: by what the certificate is for, or without one. */
type Admitted = Purpose | 'anonymous';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: bootstrap certificates only. */
    admits?: readonly Admitted[];
    /** Whether an operational certificate that has expired may call it. Default false. */
    admitsExpired?: boolean;
    /** Whether one that has expired is answered 401, as clients that renew on it expect. Default: 403. */
    expiredIs401?: boolean;
    /** Whether a connection that the gate refused gets the route's own answer. Default false. */
    answersRefused?: boolean;
  }
}

/**
 * One listener serves three kinds of certificate, and calls without any: each route says which it takes; by default
 * bootstrap certificates only. Must be called before the routes are added.
 */
export function guardRoutes(app: FastifyInstance, refuse: (facts: RefusalFacts) => void): void {
  app.addHook('onRequest', async (request, reply) => {
    const admission = admissionOf(request.raw.socket);
    if (admission === undefined) return rejectRequest(reply, refusalProblem('unavailable'));
    const found = admission.kind === 'refused' ? undefined : refusalOf(request, admission);
    if (found === undefined) return undefined;
    const { code, message } = found;
    const peer = admission.kind === 'verified' ? admission.peer : undefined;
    refuse({
      ...{ code, message, listener: 'bootstrap', address: request.ip },
      fingerprint: peer?.facts.fingerprint,
      account: peer?.facts.account,
      deviceId: peer?.facts.deviceId,
    });
    return rejectRequest(reply, found.problem ?? refusalProblem(code));
  });
}

type Fault = Pick<RefusalFacts, 'code' | 'message'> & { readonly problem?: Problem };

function refusalOf(
  request: FastifyRequest,
  admission: Exclude<SocketAdmission, { kind: 'refused' }>,
): Fault | undefined {
  const { admits = ['bootstrap'], admitsExpired = false, expiredIs401 } = request.routeOptions.config ?? {};
  if (admission.kind === 'anonymous') {
    if (admits.includes('anonymous')) return undefined;
    return { code: 'no-certificate', message: 'certificate: the peer showed none' };
  }
  const { purpose, expired, certificate }: VerifiedPeer = admission.peer;
  if (!admits.includes(purpose))
    return {
      code: 'wrong-purpose',
      message: `certificate: a ${purpose} certificate is not for ${request.method} ${request.routeOptions.url ?? 'an unknown path'}`,
    };
  if (!expired || admitsExpired) return undefined;
  const message = `notAfter: expired at ${new Date(certificate.notAfter).toISOString()}`;
  const problem = new Problem(401, 'expired', 'this certificate has expired');
  return { code: 'expired', message, ...(expiredIs401 === true ? { problem } : {}) };
}

async function rejectRequest(reply: FastifyReply, problem: Problem): Promise<FastifyReply> {
  return sendProblem(reply.header('connection', 'close'), problem);
}

/** Whether the route of a request answers a connection that the gate refused. */
export function answersRefused(request: FastifyRequest): boolean {
  return request.routeOptions.config?.answersRefused === true;
}
