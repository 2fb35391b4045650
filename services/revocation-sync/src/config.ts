import { carriesSecret, commonConfig, followsPort, publicUrl, secret, wholeNumber } from '@signet/service';
import { z } from 'zod';

/** Configuration of the revocation service. */
export const revocationSyncConfig = commonConfig.extend({
  SIGNET_DENYLIST_KEEP_SECONDS: wholeNumber(86_400, 0, 10 * 366 * 86_400).describe(
    'How long a denial is kept beyond the notAfter of what it denies; to be no less than the longest time for which an expired certificate may renew, and a day',
  ),
  SIGNET_DENYLIST_LOG_DAYS: wholeNumber(14, 1, 3660).describe(
    'How long changes of the deny list are kept; a replica that was offline for longer loads the whole list',
  ),
  SIGNET_CRL_MAX_MEGABYTES: wholeNumber(128, 1, 1024).describe('Largest CRL of a CRL source that is read'),
  SIGNET_CRL_EXPORT_FILE: z
    .string()
    .optional()
    .describe(
      'PEM file of the CRLs of all operational CAs, for an existing MQTT broker; without it none is written',
    ),
  SIGNET_CRL_EXPORT_PID_FILE: z
    .string()
    .optional()
    .describe('File with the process id of that broker, which gets SIGHUP when the file has changed'),
  SIGNET_CRL_EXPORT_URL: followsPort(
    publicUrl({ schemes: ['http', 'https'], path: true }).default('http://localhost:8081'),
    { port: 'SIGNET_EST_HTTP_PORT', scheme: 'http', host: 'localhost' },
  ).describe(
    'Plain HTTP port of `est-ca`, where the CRLs are; where it is not set it follows `SIGNET_EST_HTTP_PORT`',
  ),
  SIGNET_MOSQUITTO_URL: carriesSecret(
    z.url({ protocol: /^mqtts?$/, error: 'must be a mqtt:// or mqtts:// URL with user and password' }),
  )
    .optional()
    .describe(
      'Existing mosquitto with its dynamic security plugin, as a client of its `admin` role: denied devices are ended there at once',
    ),
  SIGNET_MOSQUITTO_ACCOUNT: z.string().default('').describe('Account whose devices that mosquitto serves'),
  SIGNET_NATS_CALLOUT_URL: carriesSecret(
    z.url({ protocol: /^(nats|tls)$/, error: 'must be a nats:// URL with user and password' }),
  )
    .optional()
    .describe('NATS server whose own MQTT listener Signet decides for, as the user of its `auth_callout`'),
  SIGNET_NATS_CALLOUT_SYSTEM_URL: carriesSecret(
    z.url({ protocol: /^(nats|tls)$/, error: 'must be a nats:// URL with user and password' }),
  )
    .optional()
    .describe('The same server as a user of its system account, to end live sessions of who is denied'),
  SIGNET_NATS_CALLOUT_SEED: secret().describe(
    'Seed of the account nkey that this server trusts as the issuer of its `auth_callout`',
  ),
  SIGNET_NATS_CALLOUT_ACCOUNT: z
    .string()
    .default('DEVICES')
    .describe('Account of this server that devices are put into'),
  SIGNET_NATS_CALLOUT_SESSION_SECONDS: wholeNumber(86_400, 60, 31_536_000).describe(
    'How long a session at this server may last before the device connects anew',
  ),
  SIGNET_CRL_FETCH_SECONDS: wholeNumber(120, 1, 3600).describe(
    'How long the server of a CRL source may take for its whole answer',
  ),
});
export type RevocationSyncConfig = z.output<typeof revocationSyncConfig>;
