import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { type Logger, type Metrics, peerOf, problemOf, type RefusalReporter } from '@signet/service';
import { ApprovalPending } from '../../domain/approval/approval.ts';
import type { EnrollmentError } from '../../domain/enrollment-error.ts';
import { type Answer, text } from './answer.ts';
import { parseBasicCredentials } from './basic-credentials.ts';
import { channelBindingOf } from './channel-binding.ts';
import type { EstServices } from './est-services.ts';
import { perform } from './operations.ts';
import { type RefusalAnswer, refusalAnswers } from './refusal-answers.ts';
import { refusalOf } from './refusal-of.ts';
import { type EstRoute, routeOf } from './route.ts';
import { WireError } from './wire-error.ts';

export type EstAnswerDeps = {
  readonly services: EstServices;
  readonly refusals: Pick<RefusalReporter, 'report'>;
  readonly metrics: Pick<Metrics, 'estEnrollments' | 'estEnrollmentSeconds'>;
  readonly log: Logger;
};

/** A request, whole. */
export type AskedRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
  readonly body: Uint8Array | undefined;
};

/** Carries out a request, and tells log, metrics and events what became of it. */
export async function answerRequest(deps: EstAnswerDeps, request: AskedRequest): Promise<Answer> {
  const startedAt = performance.now();
  let route: EstRoute | undefined;
  try {
    route = routeOf(request.method, request.url);
    const { answer, enrolled } = await perform(deps.services, {
      route,
      peer: peerOf(request.socket),
      userAgent: request.headers['user-agent'],
      contentType: request.headers['content-type'],
      authorization: request.headers.authorization,
      body: request.body,
      channelBinding: () => channelBindingOf(request.socket),
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

/** The answer to a request that failed, of which log, metrics and events are told. */
export function failure(
  deps: EstAnswerDeps,
  request: AskedRequest,
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

function isEnrolment(request: AskedRequest): boolean {
  return request.method === 'POST';
}

function report(
  deps: EstAnswerDeps,
  request: AskedRequest,
  route: EstRoute | undefined,
  { code, message, device }: EnrollmentError,
): void {
  const peer: VerifiedPeer | undefined = peerOf(request.socket);
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
    address: request.socket.remoteAddress,
  });
}

function refusalAnswer({ code, message }: EnrollmentError, request: AskedRequest): Answer {
  const answer: RefusalAnswer = refusalAnswers[code];
  const headers: Record<string, string> = {};
  if (answer.challenge === true) headers['WWW-Authenticate'] = 'Basic realm="estrealm"';
  if (answer.retryAfter !== undefined) headers['Retry-After'] = String(answer.retryAfter);
  const asked = answer.status === 401 && request.headers.authorization === undefined;
  return asked ? { status: 401, headers } : text(answer.status, message, headers);
}
