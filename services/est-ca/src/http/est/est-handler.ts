import type { IncomingMessage, ServerResponse } from 'node:http';
import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import {
  type Logger,
  type Metrics,
  peerOf,
  problemOf,
  type RefusalReporter,
  startRequestSpan,
} from '@signet/service';
import { ApprovalPending } from '../../domain/approval/approval.ts';
import type { EnrollmentError } from '../../domain/est/enrollment-error.ts';
import { type EstCtx, perform } from './est-operations.ts';
import {
  channelBindingOf,
  type EstHttpRequest,
  type EstRoute,
  parseBasicCredentials,
  routeOf,
} from './est-request.ts';
import { type EstResponse, send, text, WireError } from './est-response.ts';
import { refusalOf, refusalResponse } from './refusal-responses.ts';

export type EstHandlerDeps = {
  readonly ctx: EstCtx;
  readonly refusals: Pick<RefusalReporter, 'report'>;
  readonly metrics: Pick<Metrics, 'estEnrollments' | 'estEnrollmentSeconds'>;
  readonly log: Logger;
};

/** More than any request of EST: a body that is longer is answered 413. */
export const MAX_BODY_BYTES = 64 * 1024;
const BUNDLE = /^\/spiffe\/[^/?]+\/bundle\.json(\?|$)/;

/**
 * Answers every request of the EST listener, but those for SPIFFE bundles, which are the web framework's: what that does
 * for a request costs as much as a signature.
 */
export function estHandler(deps: EstHandlerDeps): {
  /** @returns false for a request that it leaves to the framework */
  handle(message: IncomingMessage, response: ServerResponse): boolean;
  /** From now on each answer is the last one on its connection. */
  close(): void;
} {
  let isClosing = false;
  const handle = (message: IncomingMessage, response: ServerResponse): boolean => {
    const { method = '', url = '', headers, socket } = message;
    if ((method === 'GET' || method === 'HEAD') && BUNDLE.test(url)) return false;
    const request: EstHttpRequest = { method, url, headers, socket, body: undefined };
    const span = startRequestSpan(method, '/*', headers);
    const answer = (made: EstResponse): void => {
      span.end(made.status);
      if (response.destroyed) return;
      send(response, isClosing ? { ...made, headers: { ...made.headers, Connection: 'close' } } : made);
    };
    const reject = (error: WireError): void =>
      answer(span.within(() => failure(deps, request, undefined, error)));
    readBody(message, {
      whole: (body) => void span.within(() => respond(deps, { ...request, body })).then(answer),
      tooLong: () => reject(new WireError(413, 'body: too long')),
      cut: () => reject(new WireError(400, 'body: not the length that Content-Length says')),
    });
    return true;
  };
  return {
    handle,
    close() {
      isClosing = true;
    },
  };
}

/** What becomes of a body: one of them is called, once. */
type BodyOutcome = {
  readonly whole: (body: Uint8Array | undefined) => void;
  readonly tooLong: () => void;
  readonly cut: () => void;
};

/** Reads a body of at most {@link MAX_BODY_BYTES}; what follows of a longer one is read and dropped. */
function readBody(message: IncomingMessage, { whole, tooLong, cut }: BodyOutcome): void {
  const { method, headers } = message;
  const declared = Number(headers['content-length'] ?? 0);
  const isSent = headers['transfer-encoding'] !== undefined || declared > 0;
  if (!isSent || method === 'GET' || method === 'HEAD') {
    whole(undefined);
    return;
  }
  if (declared > MAX_BODY_BYTES) {
    tooLong();
    return;
  }
  const parts: Buffer[] = [];
  let length = 0;
  let isOver = false;
  const finish = (tell: () => void): void => {
    if (isOver) return;
    isOver = true;
    tell();
    parts.length = 0;
  };
  message.on('data', (part: Buffer) => {
    length += part.length;
    if (length > MAX_BODY_BYTES) finish(tooLong);
    else parts.push(part);
  });
  message.once('error', () => finish(cut));
  message.once('end', () =>
    finish(() => {
      const [only = Buffer.alloc(0), ...rest] = parts;
      whole(rest.length === 0 ? only : Buffer.concat(parts));
    }),
  );
}

/** Carries out a request, and tells log, metrics and events what became of it. */
async function respond(deps: EstHandlerDeps, request: EstHttpRequest): Promise<EstResponse> {
  const startedAt = performance.now();
  let route: EstRoute | undefined;
  try {
    route = routeOf(request.method, request.url);
    const { response, enrolled } = await perform(deps.ctx, {
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
    return response;
  } catch (error) {
    if (!(error instanceof ApprovalPending)) return failure(deps, request, route, error);
    const { requestId, retryAfter } = error;
    deps.log.info({ requestId, profile: route?.label?.id }, 'enrolment: waits for approval');
    return { status: 202, headers: { 'Retry-After': String(retryAfter) } };
  }
}

/** The answer to a request that failed, of which log, metrics and events are told. */
function failure(
  deps: EstHandlerDeps,
  request: EstHttpRequest,
  route: EstRoute | undefined,
  error: unknown,
): EstResponse {
  const refusal = refusalOf(error);
  if (refusal === undefined) {
    deps.log.error({ err: error, url: request.url }, 'EST: request failed');
    return text(500, problemOf(error).message);
  }
  if (refusal.code === 'unavailable')
    deps.log.warn({ err: refusal.cause ?? refusal }, 'EST: a dependency is unavailable');
  // what only asks is refused quietly, but for a device whose certificate has expired
  if (request.method === 'POST' || refusal.code === 'expired') report(deps, request, route, refusal);
  if (error instanceof WireError) return text(error.status, error.message, error.headers);
  return refusalResponse(refusal, request);
}

function report(
  { metrics, refusals }: EstHandlerDeps,
  { socket, headers }: EstHttpRequest,
  route: EstRoute | undefined,
  { code, message, device }: EnrollmentError,
): void {
  const peer: VerifiedPeer | undefined = peerOf(socket);
  const account = device?.account ?? peer?.account;
  metrics.estEnrollments.add({ account: account ?? PLATFORM_ACCOUNT, outcome: code });
  refusals.report({
    listener: 'est',
    code,
    message,
    account,
    deviceId: device?.deviceId ?? peer?.deviceId ?? parseBasicCredentials(headers.authorization)?.username,
    fingerprint: peer?.facts.fingerprint,
    issuer: peer?.certificate.issuer.commonName,
    profile: route?.label?.id,
    address: socket.remoteAddress,
  });
}
