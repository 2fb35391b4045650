import { commonConfig, list, port, secret, wholeNumber } from '@signet/service';
import { z } from 'zod';
import { readToken, TOKEN_FORM } from './domain/token/api-token.ts';

const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text;

/** Configuration of the operators' API. */
export const adminApiConfig = commonConfig.extend({
  SIGNET_ADMIN_PORT: port(8080).describe('Port of the REST API'),
  SIGNET_ADMIN_BIND: z
    .string()
    .default('127.0.0.1')
    .describe('Address of the REST API: plain HTTP on loopback, HTTPS anywhere else'),
  SIGNET_AUDIT_DAYS: wholeNumber(400, 0, 36_500).describe(
    'How long entries of the audit log are kept, in days; 0 for ever',
  ),
  SIGNET_ADMIN_CORS_ORIGINS: list('')
    .refine((origins) => origins.every(isOrigin), 'must be origins, such as https://install.example.com')
    .describe('Origins of web pages that may call the REST API from a browser, separated by commas'),
  SIGNET_QUEUE_REDELIVER_SECONDS: wholeNumber(60, 1, 86_400).describe(
    'How long events of a pull queue may stay unacknowledged before they are handed out again',
  ),
  SIGNET_QUEUE_RETRY_SECONDS: z
    .string()
    .regex(/^\d{1,6}(,\d{1,6})*$/, 'must be seconds, separated by commas')
    .default('1,5,30,120,600,1800,1800,1800,1800,1800')
    .transform((text) => text.split(',').map(Number))
    .describe(
      'Waits before a push queue sends an event again that was not taken; after the last it is a dead letter. Meanwhile later events of the device wait',
    ),
  SIGNET_ADMIN_TOKEN: secret()
    .refine((token) => token === undefined || readToken(token) !== undefined, `must be ${TOKEN_FORM}`)
    .describe(
      'The first administrator token, `sgn_<16 hex>_<43 base64url>`; without it one is made at the first start, in `<data dir>/admin-token`',
    ),
});
export type AdminApiConfig = z.output<typeof adminApiConfig>;
