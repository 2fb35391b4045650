import { fetchOutbound } from './call.ts';
import { signedHeaders } from './webhook-signature.ts';

const MAX_ANSWER_BYTES = 16 * 1024;
const LONGEST_REASON = 200;

/**
 * POSTs a message, signed as Standard Webhooks has it. Any 2xx means that it was taken. Gives why it was not; undefined
 * where it was.
 */
export async function callWebhook(call: {
  readonly url: string;
  readonly secret: string;
  /** The `webhook-id`: the same however often the message is sent. */
  readonly id: string;
  readonly body: string;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly deadlineMs: number;
  readonly allowPrivate: boolean;
  readonly now: () => number;
}): Promise<string | undefined> {
  const { url, secret, id, body, contentType, deadlineMs, allowPrivate } = call;
  const headers = {
    ...signedHeaders(secret, { id, seconds: Math.floor(call.now() / 1000), body }),
    'idempotency-key': id,
    'content-type': contentType ?? 'application/json',
  };
  try {
    const { status } = await fetchOutbound({
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
}
