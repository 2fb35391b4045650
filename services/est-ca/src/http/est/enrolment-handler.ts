import type { IncomingMessage, ServerResponse } from 'node:http';
import { type RequestSpan, startRequestSpan } from '@signet/service';
import { type Answer, send } from './answer.ts';
import { answerRequest, type EstAnswerDeps, failure } from './answer-request.ts';
import { WireError } from './wire-error.ts';

/** More than any CSR in base64 or PEM; what is longer goes the other way, and is refused there. */
const MAX_BODY_BYTES = 16 * 1024;
const ENROLMENT = /^\/\.well-known\/est\/(?:[^/?]+\/)?simple(?:re)?enroll$/;

/**
 * Answers `simpleenroll` and `simplereenroll` before the web framework: what it does for a request costs as much as a
 * signature. Takes requests of the usual shape, a POST with a body of a stated length, and leaves all others to the
 * routes, where whatever is wrong with them is found.
 * @param last told of each answer before it is sent
 * @returns false for a request that is for somebody else
 */
export function enrolmentHandler(
  deps: EstAnswerDeps,
  last: (answer: Answer) => Answer,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const { method = '', url = '', headers, socket } = request;
    const length = Number(headers['content-length']);
    if (method !== 'POST' || !(length > 0 && length <= MAX_BODY_BYTES) || !ENROLMENT.test(url)) return false;
    const asked = { method, url, headers, socket };
    const span = startRequestSpan(method, '/*', headers);
    const answer = (made: Answer) => finish(response, last(made), span);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => void parts.push(part));
    request.once('error', () => {
      const cut = new WireError(400, 'body: not the length that Content-Length says');
      answer(span.within(() => failure(deps, { ...asked, body: undefined }, undefined, cut)));
    });
    request.once('end', () => {
      const body = parts.length === 1 ? parts[0] : Buffer.concat(parts);
      void span.within(() => answerRequest(deps, { ...asked, body })).then(answer);
    });
    return true;
  };
}

function finish(response: ServerResponse, answer: Answer, span: RequestSpan): void {
  span.end(answer.status);
  if (!response.destroyed) send(response, answer);
}
