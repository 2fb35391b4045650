import { join } from 'node:path';
import type { Bus } from '@signet/bus';
import { type DenyList, openDenyList, SessionIndex } from '@signet/denylist';
import { AdmissionGate, type GateOptions } from './admission-gate.ts';
import { denialsOf, timedSource } from './denials.ts';
import { followResets } from './follow-resets.ts';
import type { CheckResult, Health } from './health.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { RefusalReporter } from './refusals.ts';
import { processTicks, type Ticks } from './ticks.ts';
import { openTrust, type Trust } from './trust.ts';

/** What all device listeners of a process share: pinned CAs, deny list, live sessions, refusals. */
export interface Admission extends AsyncDisposable {
  readonly trust: Trust;
  readonly denyList: DenyList;
  readonly sessions: SessionIndex;
  readonly refusals: RefusalReporter;
  /** The gate of one listener. Lives as long as the admission. */
  gate(options: GateOptions): AdmissionGate;
}

export type AdmissionOptions = {
  readonly bus: Bus;
  /** Keeps `authorities.json` and `denylist.bin`, for a start while bus or authority is unavailable. */
  readonly dataDir: string;
  /** Of the platform's SPIFFE ids: peers of another one are not admitted. */
  readonly trustDomain: string;
  readonly log: Logger;
  readonly now: () => number;
  /** A minute of monotonic time, over and over. Default: those of this process. */
  readonly ticks?: Ticks | undefined;
  readonly health: Health;
  readonly metrics: Metrics;
  /** How long the deny list may be without word from its authority, ms. Default 30000. */
  readonly staleAfterMs?: number;
  /** Whether a stale list refuses new connections. Default true. */
  readonly refuseWhenStale?: boolean;
  /** How long a session may last, ms; without it, until its certificate ends. */
  readonly maxSessionMs?: number | undefined;
  /** How old the list on disk may be to start from, ms. Default 15 minutes. */
  readonly cacheMaxAgeMs?: number;
};

/**
 * Opens admission for a process. Returns at once: CAs and deny list load in the background, and until both are there no
 * certificate is admitted. One process needs one, however many services run in it.
 */
export async function openAdmission(options: AdmissionOptions): Promise<Admission> {
  const {
    bus,
    dataDir,
    trustDomain,
    log,
    now,
    health,
    metrics,
    staleAfterMs = 30_000,
    refuseWhenStale = true,
  } = options;
  await using stack = new AsyncDisposableStack();
  const refusals = stack.use(new RefusalReporter({ bus, log, metrics, now }));
  const sessions = stack.use(
    new SessionIndex({
      ...{ now, ticks: options.ticks ?? processTicks },
      onError: (error) => log.error({ err: error }, 'session: its end failed'),
    }),
  );
  stack.use(followResets({ bus, sessions, log }));
  const trust = stack.use(await openTrust({ bus, dataDir, trustDomain, log, health }));
  const { source, changedAt } = timedSource(bus);
  const mismatches = metrics.counter<Record<string, never>>(
    'signet_denylist_mismatches_total',
    'Times that the deny list was found to differ from its authority',
  );
  const regressions = metrics.counter<Record<string, never>>(
    'signet_denylist_regressions_total',
    'Times that the authority of the deny list came back without denials that were in force',
  );
  const denyList = stack.use(
    openDenyList({
      source,
      sessions,
      cacheFile: join(dataDir, 'denylist.bin'),
      cacheMaxAgeMs: options.cacheMaxAgeMs ?? 900_000,
      staleAfterMs,
      refuseWhenStale,
      onMismatch: () => mismatches.add({}),
      onKept: () => regressions.add({}),
      now,
      log,
    }),
  );
  stack.use(health.register('deny-list', () => denyListCheck(denyList, staleAfterMs, refuseWhenStale)));
  stack.use(
    metrics.gauge('signet_denylist_lag_seconds', 'Time since nothing was missing from the deny list', () => {
      const lag = denyList.lagSeconds();
      return Number.isFinite(lag) ? lag : undefined;
    }),
  );
  stack.use(metrics.gauge('signet_denylist_entries', 'Entries of the deny list', () => denyList.size()));
  stack.use(
    metrics.gauge('signet_denylist_kept_entries', 'Denials kept here that their authority has lost', () =>
      denyList.kept(),
    ),
  );
  stack.use(metrics.gauge('signet_sessions', 'Live sessions of devices', () => sessions.size));
  const denials = denialsOf(denyList, changedAt);
  const gates = stack.use(new DisposableStack());
  const rest = stack.move();
  return {
    trust,
    denyList,
    sessions,
    refusals,
    gate: (gateOptions) =>
      gates.use(
        new AdmissionGate(
          { trust, denials, sessions, refusals, metrics, log, now, maxSessionMs: options.maxSessionMs },
          gateOptions,
        ),
      ),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Why the list cannot be relied on; a list from disk whose authority was not heard yet is usable, and said. */
function denyListCheck(list: DenyList, staleAfterMs: number, refuseWhenStale: boolean): CheckResult {
  const admitting = list.admitting();
  if (!admitting.ok) return admitting.message;
  const wrong = list.alarm() ?? list.mismatch();
  if (wrong !== undefined) return { warning: wrong };
  const lag = list.lagSeconds();
  if (lag * 1000 <= staleAfterMs) return undefined;
  const reason = `deny list: behind its authority for ${Math.round(lag)} s`;
  return refuseWhenStale ? { warning: reason } : reason;
}
