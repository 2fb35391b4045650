import { join } from 'node:path';
import {
  type Admission,
  connectionsOf,
  openConfiguredCertificate,
  originOf,
  type RunningService,
  repeatedly,
  type ServiceDeps,
  startPlainHttp,
  startTlsHttp,
  whenAvailable,
} from '@signet/service';
import type { FastifyInstance } from 'fastify';
import { AuditSpool } from './adapters/audit-spool.ts';
import { openFirstToken } from './adapters/first-token.ts';
import type { AdminApiConfig } from './config.ts';
import { accountRecords } from './domain/account.ts';
import { adoptAccounts } from './domain/adopt-accounts.ts';
import { apiTokens } from './domain/api-token.ts';
import { auditEntries } from './domain/audit-entry.ts';
import { budgetFates, budgetUses } from './domain/budget-use.ts';
import { BudgetCounter } from './domain/count-budget.ts';
import { deviceActivities } from './domain/device-activity.ts';
import { deviceViewer } from './domain/device-view.ts';
import { keptAnswers, purgeKeptAnswers } from './domain/kept-answer.ts';
import { purgeAudit } from './domain/purge-audit.ts';
import { putAudit } from './domain/put-audit.ts';
import { refusalRecords } from './domain/refusal-record.ts';
import { Budgets } from './domain/spend-budget.ts';
import { accountGuard } from './http/account-guard.ts';
import { auditor } from './http/audit.ts';
import { authenticate } from './http/authenticate.ts';
import { serveClaimCsv } from './http/claim-csv/route.ts';
import { allowOrigins } from './http/cors.ts';
import { serveEventStream } from './http/event-stream.ts';
import { openApi } from './http/openapi.ts';
import { allRoutes, describedRoutes } from './http/routes.ts';
import { serveRoutes } from './http/serve-routes.ts';
import { serveAuthorization } from './messaging/authorize-token.ts';
import { project, purgeRefusals } from './messaging/projections.ts';
import { openQueues } from './messaging/queues.ts';

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
const PURGE_INTERVAL_MS = 3_600_000;
/** The largest certificate or CSR fits; routes that take more say so. A body is read for callers with a role only. */
const limits = { bodyBytes: 256 * 1024, requestMs: 600_000 };

/** Starts the operators' API. Its port is `admin`. */
export async function startAdminApi(
  config: AdminApiConfig,
  deps: ServiceDeps & { readonly admission?: Admission },
): Promise<RunningAdminApi> {
  const { store, bus, log, now, health } = deps;
  await using stack = new AsyncDisposableStack();
  const { accounts, tokens, audit, activities, refusals, uses, fates, answers } = await whenAvailable(
    log,
    async () => ({
      accounts: await store.collection(accountRecords),
      tokens: await store.collection(apiTokens),
      audit: await store.collection(auditEntries),
      activities: await store.collection(deviceActivities),
      refusals: await store.collection(refusalRecords),
      uses: await store.collection(budgetUses),
      fates: await store.collection(budgetFates),
      answers: await store.collection(keptAnswers),
    }),
  );
  const firstToken = await openFirstToken({
    tokens: {
      insert: (token) => whenAvailable(log, () => tokens.insert(token)),
      get: (id) => whenAvailable(log, () => tokens.get(id)),
    },
    configured: config.SIGNET_ADMIN_TOKEN,
    dataDir: config.SIGNET_DATA_DIR,
    now: now(),
  });
  await whenAvailable(log, () => adoptAccounts({ accounts, audit, tokens, now: now() }));
  const budgets = new Budgets(new BudgetCounter({ uses, fates, now }), now);
  stack.use(await serveAuthorization(bus, { tokens, budgets, now }));
  for (const subscription of await project({ bus, activities, refusals })) stack.use(subscription);
  const purge = setInterval(() => {
    purgeRefusals(refusals, now()).catch((error: unknown) =>
      log.warn({ err: error }, 'refusals: not purged'),
    );
    purgeKeptAnswers(answers, now()).catch((error: unknown) =>
      log.warn({ err: error }, 'kept answers: not purged'),
    );
  }, PURGE_INTERVAL_MS);
  stack.defer(() => clearInterval(purge));
  if (config.SIGNET_AUDIT_DAYS > 0) {
    const auditPurge = setInterval(() => {
      purgeAudit(audit, now() - config.SIGNET_AUDIT_DAYS * 86_400_000).catch((error: unknown) =>
        log.warn({ err: error }, 'audit log: not purged'),
      );
    }, PURGE_INTERVAL_MS);
    stack.defer(() => clearInterval(auditPurge));
  }

  const { queues, stop } = stack.use(
    await openQueues(deps, {
      allowPrivate: config.SIGNET_OUTWARD_PRIVATE,
      backoffMs: config.SIGNET_QUEUE_RETRY_SECONDS.map((seconds) => seconds * 1000),
      redeliverMs: config.SIGNET_QUEUE_REDELIVER_SECONDS * 1000,
    }),
  );
  const viewDevice = deviceViewer({ bus, activities, refusals });
  const routes = allRoutes({
    bus,
    health,
    now,
    accounts,
    tokens,
    audit,
    refusals,
    viewDevice,
    budgets,
    queues,
  });
  const document = openApi(describedRoutes(routes));
  const whoCalls = (authorization: string | undefined) => authenticate(tokens, authorization, now());
  const spoolFile = join(config.SIGNET_DATA_DIR, 'admin-api', 'audit-spool.jsonl');
  const spool = new AuditSpool(spoolFile, (entry) => putAudit(audit, entry));
  stack.use(
    repeatedly(
      SPOOL_INTERVAL_MS,
      () => spool.flush(),
      (error) => log.warn({ err: error }, 'audit: what waits on the disk is not written yet'),
    ),
  );
  const recorded = auditor({ write: (entry) => spool.write(entry), now, log });
  const guard = accountGuard({
    ...{ accounts, now },
    onError: (error) => log.error({ err: error }, 'accounts: not noted'),
  });
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
  stack.defer(stop);
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
