import { createHmac } from 'node:crypto';

/** The three headers of Standard Webhooks: HMAC-SHA256 over id, time and body with the secret's bytes. */
export function signedHeaders(
  secret: string,
  message: { readonly id: string; readonly seconds: number; readonly body: string },
): Record<string, string> {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signed = `${message.id}.${message.seconds}.${message.body}`;
  return {
    'webhook-id': message.id,
    'webhook-timestamp': String(message.seconds),
    'webhook-signature': `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
  };
}
