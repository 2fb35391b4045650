import { Account, DEFAULT_TRUST_DOMAIN } from '@signet/contracts';
import { z } from 'zod';
import { carriesSecret, flag, port, secret, wholeNumber } from './config.ts';
import { connectionConfig } from './connections/connection-limits.ts';
import { serverNames } from './public-url.ts';

/** May have a user and a password in it. */
const url = (pattern: RegExp, wanted: string) =>
  carriesSecret(z.string().regex(pattern, `must be ${wanted}`));

/** What every service reads. A service's own schema is `commonConfig.extend({ … })`. */
export const commonConfig = z.object({
  SIGNET_STORE: url(/^(sqlite:.+|mongodb(\+srv)?:\/\/.+)$/, 'sqlite:<file> or mongodb://…')
    .default('sqlite:./data/signet.db')
    .describe(
      'Where documents are kept: `sqlite:<file>` or a `mongodb://` URL; `npm start` keeps them in `SIGNET_DATA_DIR` where that is set and this is not',
    ),
  SIGNET_BUS: url(/^(local|(nats|tls):\/\/.+)$/, 'local or nats://…')
    .refine(
      (text) => text === 'local' || text.split(',').every((server) => URL.canParse(server.trim())),
      'must be local or nats:// URLs, separated by commas',
    )
    .default('local')
    .describe('What carries events and requests: `local` (inside the process) or a `nats://` URL'),
  SIGNET_REDIS: url(/^rediss?:\/\/.+$/, 'redis://…')
    .optional()
    .describe('Shared short-lived state (MQTT sessions, rate limits); without it each process keeps its own'),
  SIGNET_DATA_DIR: z
    .string()
    .default('./data')
    .describe('Folder for what a process keeps on disk: its TLS key, pinned CAs, deny-list snapshot'),
  SIGNET_TRUST_DOMAIN: z
    .string()
    .regex(/^[a-z0-9._-]{1,255}$/, 'must be a SPIFFE trust domain: a-z 0-9 . _ -')
    .default(DEFAULT_TRUST_DOMAIN)
    .describe('Trust domain of the SPIFFE ids in certificates; a device of another one is not admitted'),
  SIGNET_ACCOUNT: Account.default('default').describe('Account that exists from the first start'),
  SIGNET_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be letters, digits, ".", "_" and "-", at most 64')
    .optional()
    .describe('Name of this process in logs and events; by default the host name and process id'),
  SIGNET_BIND: z.string().default('0.0.0.0').describe('Address that device listeners bind'),
  SIGNET_SERVER_NAMES: serverNames('localhost,127.0.0.1').describe(
    'DNS names and IP addresses under which devices reach this process; they go into its TLS certificate',
  ),
  SIGNET_HEALTH_PORT: port(9464).describe('Port of `/health`, `/ready` and `/metrics`'),
  SIGNET_HEALTH_BIND: z
    .string()
    .default('127.0.0.1')
    .describe('Address that the health port binds: loopback, unless something else has to reach it'),
  SIGNET_LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      'must be trace, debug, info, warn, error or silent',
    )
    .default('info')
    .describe('Least level that is logged'),
  SIGNET_CLOCK_BOUND_SECONDS: wholeNumber(30, 1, 3600).describe(
    'By how much the clock of this machine may differ from that of NATS or MongoDB: beyond it the process is not ready, and est-ca signs nothing while its clock is ahead',
  ),
  ...connectionConfig,
  SIGNET_STOP_SECONDS: wholeNumber(15, 1, 3600).describe('How long a graceful stop may take'),
  SIGNET_DENYLIST_STALE_SECONDS: wholeNumber(30, 6, 86_400).describe(
    'How long the deny list may go without word from its authority before readiness fails',
  ),
  SIGNET_DENYLIST_STALE_REFUSES: flag(true).describe('Whether a stale deny list refuses new connections'),
  SIGNET_DENYLIST_MAX_SNAPSHOT_AGE_SECONDS: wholeNumber(900, 0).describe(
    'How old the deny list kept on disk may be to start from it while its authority is unavailable; a listener that starts later admits nobody until the authority is heard. 0 for never',
  ),
  SIGNET_SESSION_MAX_SECONDS: wholeNumber(0, 0, 31_536_000).describe(
    'How long a session of a device may last, whatever its certificate says; it connects anew then. 0 for as long as its certificate is valid',
  ),
  SIGNET_OUTWARD_PRIVATE: flag(false).describe(
    'Whether URLs that operators name (webhooks, hooks, CRL sources) may lead to private addresses and be plain HTTP',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url('must be a URL')
    .optional()
    .describe('Where traces are sent (OTLP over HTTP); without it they are not exported'),
  OTEL_EXPORTER_OTLP_HEADERS: secret().describe(
    'Headers for the trace collector, as OpenTelemetry defines them',
  ),
});
export type CommonConfig = z.output<typeof commonConfig>;
