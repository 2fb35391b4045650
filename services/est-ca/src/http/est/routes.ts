import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { type Logger, type Metrics, peerOf, problemOf, type RefusalReporter } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApprovalPending } from '../../domain/approval/approval-pending.ts';
import type { EnrollmentError } from '../../domain/enrollment/enrollment-error.ts';
import { type Answer, send, text } from './answer.ts';
import { parseBasicCredentials } from './basic-credentials.ts';
import { channelBindingOf } from './channel-binding.ts';
import type { EstServices } from './est-services.ts';
import { perform } from './operations.ts';
import { type RefusalAnswer, refusalAnswers } from './refusal-answers.ts';
import { refusalOf } from './refusal-of.ts';
import { type EstRoute, routeOf } from './route.ts';
import { WireError } from './wire-error.ts';

export type EstRouteDeps = {
  readonly services: EstServices;
  readonly refusals: Pick<RefusalReporter, 'report'>;
  readonly metrics: Pick<Metrics, 'estEnrollments' | 'estEnrollmentSeconds'>;
  readonly log: Logger;
};

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Everything that the EST listener answers. */
export function estRoutes(deps: EstRouteDeps): (app: FastifyInstance) => Promise<void> {
  return async (server) => {
    await server.register(async (app) => serve(app, deps));
  };
}

function serve(app: FastifyInstance, deps: EstRouteDeps): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  const answered = (answer: Answer): Answer =>
    closing ? { ...answer, headers: { ...answer.headers, Connection: 'close' } } : answer;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    send(reply, answered(failure(deps, request, undefined, withWireStatus(error))));
  });
  app.route({
    method: METHODS,
    url: '/*',
    handler: async (request, reply) => {
      const answer = await answerOf(deps, request);
      send(reply, answered(answer));
    },
  });
}

async function answerOf(deps: EstRouteDeps, request: FastifyRequest): Promise<Answer> {
  const startedAt = performance.now();
  let route: EstRoute | undefined;
  try {
    route = routeOf(request.method, request.url);
    const { answer, enrolled } = await perform(deps.services, {
      route,
      peer: peerOf(request.raw.socket),
      userAgent: request.headers['user-agent'],
      contentType: request.headers['content-type'],
      authorization: request.headers.authorization,
      body: Buffer.isBuffer(request.body) ? request.body : undefined,
      channelBinding: () => channelBindingOf(request.raw.socket),
    });
    if (enrolled !== undefined) {
      const outcome = enrolled.repeated ? 'repeated' : enrolled.renewed ? 'renewed' : 'issued';
      const { account, deviceId, serialNumber, profile } = enrolled.record;
      deps.metrics.estEnrollments.add({ account, outcome });
      deps.metrics.estEnrollmentSeconds.observe((performance.now() - startedAt) / 1000, { outcome });
      deps.log.info({ account, deviceId, serialNumber, profile }, `enrolment: ${outcome}`);
    }
    return answer;
  } catch (error) {
    if (error instanceof ApprovalPending) {
      deps.log.info(
        { requestId: error.requestId, profile: route?.label?.id },
        'enrolment: waits for approval',
      );
      return { status: 202, headers: { 'Retry-After': String(error.retryAfter) } };
    }
    return failure(deps, request, route, error);
  }
}

/** Tells log, metrics, events and the device. */
function failure(
  deps: EstRouteDeps,
  request: FastifyRequest,
  route: EstRoute | undefined,
  error: unknown,
): Answer {
  const refusal = refusalOf(error);
  if (refusal === undefined) {
    deps.log.error({ err: error, url: request.url }, 'EST: request failed');
    return text(500, problemOf(error).message);
  }
  if (refusal.code === 'unavailable')
    deps.log.warn({ err: refusal.cause ?? refusal }, 'EST: a dependency is away');
  if (isEnrolment(request) || refusal.code === 'expired') report(deps, request, route, refusal);
  if (error instanceof WireError) return text(error.status, error.message, error.headers);
  return refusalAnswer(refusal, request);
}

function isEnrolment(request: FastifyRequest): boolean {
  return request.method === 'POST';
}

function report(
  deps: EstRouteDeps,
  request: FastifyRequest,
  route: EstRoute | undefined,
  { code, message, device }: EnrollmentError,
): void {
  const peer: VerifiedPeer | undefined = peerOf(request.raw.socket);
  const account = device?.account ?? peer?.account;
  deps.metrics.estEnrollments.add({ account: account ?? PLATFORM_ACCOUNT, outcome: code });
  deps.refusals.report({
    listener: 'est',
    code,
    message,
    account,
    deviceId:
      device?.deviceId ?? peer?.deviceId ?? parseBasicCredentials(request.headers.authorization)?.username,
    fingerprint: peer?.facts.fingerprint,
    issuer: peer?.certificate.issuer.commonName,
    profile: route?.label?.id,
    address: request.ip,
  });
}

function refusalAnswer({ code, message }: EnrollmentError, request: FastifyRequest): Answer {
  const answer: RefusalAnswer = refusalAnswers[code];
  const headers: Record<string, string> = {};
  if (answer.challenge === true) headers['WWW-Authenticate'] = 'Basic realm="estrealm"';
  if (answer.retryAfter !== undefined) headers['Retry-After'] = String(answer.retryAfter);
  const asked = answer.status === 401 && request.headers.authorization === undefined;
  return asked ? { status: 401, headers } : text(answer.status, message, headers);
}

/** What Fastify refuses by itself, before the handler: a body that is too long or cut off. */
function withWireStatus(error: unknown): unknown {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return new WireError(413, 'body: too long');
  if (status === 415) return new WireError(415, 'Content-Type: application/pkcs10 expected');
  if (status === 400) return new WireError(400, 'body: not the length that Content-Length says');
  return error;
}
