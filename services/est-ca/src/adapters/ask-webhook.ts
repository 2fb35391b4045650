import { readForeignJson } from '@signet/contracts';
import { fetchOutbound, signedHeaders } from '@signet/service';
import { z } from 'zod';
import type { AskWebhook } from '../domain/approval/owner-consent.ts';

export type WebhookOptions = {
  /** From the call to the whole answer. */
  readonly deadlineMs: number;
  /** Whether private addresses and plain HTTP are allowed. */
  readonly allowPrivate: boolean;
  readonly now: () => number;
};

const MAX_ANSWER_BYTES = 16 * 1024;

const Answer = z.union([
  z.object({ allow: z.literal(true) }),
  z.object({ allow: z.literal(false), reason: z.string().max(256).default('no reason given') }),
]);

/** Asks owners' back ends: POST of JSON, signed as Standard Webhooks has it. Only 200 with `{"allow": …}` is an answer. */
export function webhookCaller({ deadlineMs, allowPrivate, now }: WebhookOptions): AskWebhook {
  return async ({ url, secret }, { id, ...message }) => {
    const body = JSON.stringify(message);
    const seconds = Math.floor(now() / 1000);
    const headers = { ...signedHeaders(secret, { id, seconds, body }), 'content-type': 'application/json' };
    const answer = await fetchOutbound({
      ...{ url, method: 'POST', headers, body, deadlineMs, allowPrivate },
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    if (answer.status !== 200) throw new Error(`webhook: status ${answer.status}`);
    return Answer.parse(readForeignJson(answer.body, 'webhook', { bytes: MAX_ANSWER_BYTES }));
  };
}
