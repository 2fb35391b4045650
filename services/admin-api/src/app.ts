import { join } from 'node:path';
import { repeatedly } from '@signet/async';
import {
  type Admission,
  connectionsOf,
  openConfiguredCertificate,
  originOf,
  type RunningService,
  type ServiceDeps,
  startPlainHttp,
  startTlsHttp,
  unfitUrl,
  whenAvailable,
} from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { AuditSpool } from './adapters/audit-spool.ts';
import { openFirstToken } from './adapters/first-token.ts';
import { openCollections } from './collections.ts';
import type { AdminApiConfig } from './config.ts';
import { eraseDeletedAccounts } from './consumers/accounts.ts';
import { consumeDeviceView } from './consumers/device-view.ts';
import { pushQueues } from './consumers/push-queues.ts';
import { adoptAccounts } from './domain/account/adopt-accounts.ts';
import { putAudit } from './domain/audit/audit-log.ts';
import { Budgets } from './domain/budget/budget.ts';
import { BudgetCounter } from './domain/budget/count-budget.ts';
import { deviceViewer } from './domain/device/device-view.ts';
import { QueueJournal } from './domain/queue/queue-record.ts';
import { accountGuard } from './http/account-guard.ts';
import { auditor } from './http/audit.ts';
import { authenticate } from './http/authenticate.ts';
import { serveClaimCsv } from './http/claim-csv/route.ts';
import { allowOrigins } from './http/cors.ts';
import { serveEventStream } from './http/event-stream.ts';
import { openApi } from './http/openapi.ts';
import { allRoutes, describedRoutes } from './http/routes.ts';
import { serveRoutes } from './http/serve-routes.ts';
import { purgeRecords } from './jobs/purge-records.ts';
import { serveAuthorization } from './rpc/authorize-token.ts';

/**
 * The REST API as it runs; `firstToken` says whether this start made the administrator's token, `lastResort` is the
 * SHA-256 of its certificate where no CA gave it one.
 */
export type RunningAdminApi = RunningService & {
  readonly url: string;
  readonly lastResort: string | undefined;
  readonly firstToken: { readonly file: string | undefined; readonly isNew: boolean };
};

const SPOOL_INTERVAL_MS = 5000;
/** The largest certificate or CSR fits; routes that take more say so. A body is read for callers with a role only. */
const limits = { bodyBytes: 256 * 1024, requestMs: 600_000 };

/** Starts the operators' API. Its port is `admin`. */
export async function startAdminApi(
  config: AdminApiConfig,
  deps: ServiceDeps & { readonly admission?: Admission },
): Promise<RunningAdminApi> {
  const { store, bus, log, now, health } = deps;
  await using stack = new AsyncDisposableStack();
  const collections = await whenAvailable(log, () => openCollections(store));
  const { accounts, tokens, audit, activities, refusals, answers } = collections;
  const firstToken = await openFirstToken({
    tokens: {
      insert: (token) => whenAvailable(log, () => tokens.insert(token)),
      get: (id) => whenAvailable(log, () => tokens.get(id)),
    },
    configured: config.SIGNET_ADMIN_TOKEN,
    dataDir: config.SIGNET_DATA_DIR,
    now: now(),
  });
  await whenAvailable(log, () =>
    adoptAccounts({ accounts, audit, tokens, first: config.SIGNET_ACCOUNT, now: now() }),
  );
  const counter = new BudgetCounter({ uses: collections.budgetUses, fates: collections.budgetFates, now });
  const budgets = new Budgets(counter, now);
  stack.use(await serveAuthorization(bus, { accounts, tokens, budgets, now }));
  stack.use(await consumeDeviceView(bus, collections));
  stack.use(purgeRecords(collections, { auditDays: config.SIGNET_AUDIT_DAYS, now, log }));

  const allowPrivate = config.SIGNET_OUTWARD_PRIVATE;
  const queueCommon = {
    bus,
    queues: collections.queues,
    ended: collections.endedQueues,
    positions: collections.queuePositions,
    journal: new QueueJournal(collections.queueStates),
    backoffMs: config.SIGNET_QUEUE_RETRY_SECONDS.map((seconds) => seconds * 1000),
    now,
  };
  const push = stack.use(pushQueues({ ...queueCommon, states: collections.queueStates, allowPrivate, log }));
  const closing = new AbortController();
  const queues = {
    ...queueCommon,
    redeliverMs: config.SIGNET_QUEUE_REDELIVER_SECONDS * 1000,
    unfit: (url: string) => unfitUrl(url, allowPrivate),
    onChange: () => push.look(),
    closing: closing.signal,
  };
  stack.use(await eraseDeletedAccounts({ bus, tokens, activities, refusals, queues }));
  const viewDevice = deviceViewer({ bus, activities, refusals });
  const parts = { bus, health, now, accounts, tokens, audit, refusals, viewDevice, budgets, queues };
  const routes = allRoutes(parts);
  const document = openApi(describedRoutes(routes));
  const whoCalls = (authorization: string | undefined) => authenticate(tokens, authorization, now());
  const spoolFile = join(config.SIGNET_DATA_DIR, 'admin-api', 'audit-spool.jsonl');
  const spool = new AuditSpool(spoolFile, (entry) => putAudit(audit, entry));
  stack.use(
    repeatedly(() => spool.flush(), {
      everyMs: SPOOL_INTERVAL_MS,
      onError: (error) => log.warn({ err: error }, 'audit: what waits on the disk is not written yet'),
    }),
  );
  const recorded = auditor({ write: (entry) => spool.write(entry), now, log });
  const guard = accountGuard({ accounts });
  const idempotency = {
    ...{ answers, now },
    onError: (error: unknown) => log.error({ err: error }, 'idempotency: answer not kept'),
  };
  const serve = (app: FastifyInstance) => {
    allowOrigins(app, config.SIGNET_ADMIN_CORS_ORIGINS);
    serveRoutes(app, {
      ...{ routes, authenticate: whoCalls, audit: recorded, accounts: guard, idempotency },
    });
    serveClaimCsv(app, {
      bus,
      audit: recorded,
      accounts: guard,
      folder: join(config.SIGNET_DATA_DIR, 'admin-api', 'spool'),
    });
    serveEventStream(app, { bus, authenticate: whoCalls, audit: recorded });
    app.get('/openapi.json', { config: { isPublic: true } }, async () => document);
  };
  const listen = {
    port: config.SIGNET_ADMIN_PORT,
    host: config.SIGNET_ADMIN_BIND,
    log,
    limits,
    connections: connectionsOf(config, deps, 'admin'),
    routes: serve,
  };
  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(config.SIGNET_ADMIN_BIND);
  const certificate = isLoopback
    ? undefined
    : stack.use(await openConfiguredCertificate('admin-api', config, deps, { forOperators: true }));
  const http = stack.use(
    certificate === undefined ? await startPlainHttp(listen) : await startTlsHttp({ ...listen, certificate }),
  );
  // whoever waits for events to pull gets none
  stack.defer(() => closing.abort());
  const rest = stack.move();
  return {
    ports: { admin: http.port },
    url: isLoopback
      ? originOf('http', config.SIGNET_ADMIN_BIND === '::1' ? '::1' : '127.0.0.1', http.port)
      : originOf('https', 'localhost', http.port),
    firstToken,
    lastResort: certificate?.lastResort(),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
