import { callOutward, signedHeaders } from '@signet/service';
import type { CallHook } from '../domain/hooks/deliver.ts';

const MAX_ANSWER_BYTES = 16 * 1024;
const LONGEST_REASON = 200;

/** POSTs notifications to hooks, signed as Standard Webhooks has it. Any 2xx means that it was taken. */
export function hookCaller(options: {
  readonly deadlineMs: number;
  readonly allowPrivate: boolean;
  readonly now: () => number;
}): CallHook {
  const { deadlineMs, allowPrivate, now } = options;
  return async ({ url, secret }, { id, body }) => {
    const seconds = Math.floor(now() / 1000);
    const headers = {
      ...signedHeaders(secret, { id, seconds, body }),
      'idempotency-key': id,
      'content-type': 'application/json',
    };
    try {
      const { status } = await callOutward({
        ...{ url, method: 'POST', headers, body, deadlineMs, allowPrivate },
        maxAnswerBytes: MAX_ANSWER_BYTES,
      });
      if (status >= 200 && status < 300) return undefined;
      return status >= 300 && status < 400
        ? `status ${status}: redirects are not followed`
        : `status ${status}`;
    } catch (error) {
      return (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_REASON);
    }
  };
}
