import { Problem } from '@signet/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  type Answer,
  type AnswerOnceDeps,
  answerOnce,
  KeyConflict,
} from '../domain/idempotency/answer-once.ts';

const statusOf = { reused: 422, running: 409, 'not-kept': 409 } as const satisfies Record<
  KeyConflict['code'],
  number
>;
const RETRY_SECONDS = 1;

/**
 * Runs a POST once for its `Idempotency-Key`; without the header, each time that it comes. An answer given again has
 * `Idempotency-Replayed: true`.
 * @throws Problem `invalid-input`, `idempotency-key-reused`, `idempotency-key-running`, `idempotency-key-not-kept`
 */
export async function keyed(
  deps: AnswerOnceDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  tokenId: string,
  run: () => Promise<Answer>,
): Promise<Answer> {
  const { 'idempotency-key': key, authorization = '' } = request.headers;
  if (key === undefined || request.method !== 'POST') return run();
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
    throw new Problem(400, 'invalid-input', 'Idempotency-Key: 1 to 255 visible characters expected', {
      field: 'Idempotency-Key',
    });
  const token = authorization.replace(/^Bearer +/i, '');
  const asked = [request.method, request.url, request.body ?? null];
  try {
    const call = { key, tokenId, token, request: asked };
    const { isRepeated, ...answer } = await answerOnce(deps, call, run);
    if (isRepeated) {
      reply.header('idempotency-replayed', 'true');
      request.auditNote = 'answered again, by its Idempotency-Key';
    }
    return answer;
  } catch (cause) {
    if (!(cause instanceof KeyConflict)) throw cause;
    const { code, message } = cause;
    const retry = code === 'running' ? { retryAfter: RETRY_SECONDS } : {};
    throw new Problem(statusOf[code], `idempotency-key-${code}`, message, {
      ...{ field: 'Idempotency-Key', cause },
      ...retry,
    });
  }
}
