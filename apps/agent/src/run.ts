import { AgentError } from './agent-error.ts';
import type { DeviceFolder } from './device-folder.ts';
import { type Identity, leaf } from './identity.ts';

import { type MqttSession, openMqttSession } from './mqtt-session.ts';
import { onboard, type Step } from './onboard.ts';
import { jittered, pause } from './pause.ts';
import { renew } from './renew.ts';
import { RenewalClock } from './renewal-clock.ts';
import { planRenewal, type RenewalPlan } from './renewal-plan.ts';

export type RunEvent =
  | Step
  | { readonly step: 'connected' | 'disconnected' | 'renewed' }
  | { readonly step: 'renewal-planned'; readonly at: Date; readonly by: RenewalPlan['by'] }
  | { readonly step: 'message'; readonly levels: string[]; readonly payload: Buffer };

export type RunOptions = {
  readonly report?: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
  /** How often the device says that it is alive (`up/status`), ms. */
  readonly statusMs?: number;
  /** Ceiling of every wait, ms. */
  readonly maxWaitMs?: number;
  /** When a certificate is to be renewed, Unix ms; by default when the server suggests, or at two thirds of its life. */
  readonly renewAt?: (identity: Identity) => number;
};

const STATUS_MS = 30_000;
const MAX_WAIT_MS = 60_000;
const RENEWAL_RETRY_MS = 5000;
const LONGEST_TIMER_MS = 3_600_000;
/** A session that lasted so long was a sound one: the next wait is short again. */
const STEADY_MS = 10_000;
/** The broker's refusals in a row after which the device asks bootstrap again; it doubles up to the second. */
const REFUSALS = { first: 2, most: 64 };

/**
 * Keeps the device alive until the signal fires: onboards if it must, connects, reconnects with jitter, renews when due
 * without leaving the broker. Where the broker refuses the identity (a revoked certificate), the device goes back to
 * bootstrap; a refusal there ends the run.
 * @throws AgentError `refused`, `not-a-device-folder`, `broken-folder`
 */
export async function run(folder: DeviceFolder, options: RunOptions = {}): Promise<void> {
  const { report = () => {}, signal, maxWaitMs = MAX_WAIT_MS } = options;
  let refusals = 0;
  let patience = REFUSALS.first;
  for (let failures = 0; signal?.aborted !== true; ) {
    try {
      const isRefused = refusals >= patience;
      const { identity, bundle } = await enrolled(folder, options, isRefused);
      if (isRefused) {
        refusals = 0;
        patience = Math.min(patience * 2, REFUSALS.most);
      }
      const onMessage = (levels: string[], payload: Buffer) => report({ step: 'message', levels, payload });
      await using session = await openMqttSession(bundle, identity, { onMessage, signal });
      const since = Date.now();
      report({ step: 'connected' });
      refusals = 0;
      patience = REFUSALS.first;
      const isRenewed = await live(session, folder, identity, options);
      if (isRenewed) continue;
      report({ step: 'disconnected' });
      failures = Date.now() - since >= STEADY_MS ? 0 : failures + 1;
      await pause(jittered(failures, 250, maxWaitMs), signal);
    } catch (error) {
      if (signal?.aborted) return;
      // Onboarding tries again by itself: what comes out of it is final.
      if (!(error instanceof AgentError) || error.status !== undefined) throw error;
      if (error.code !== 'refused' && error.code !== 'unreachable') throw error;
      if (error.code === 'refused') refusals++;
      const ms = jittered(failures++, 250, maxWaitMs);
      report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
      await pause(ms, signal);
    }
  }
}

/** The operational identity with its bundle: the kept ones, unless they are of no use. */
async function enrolled(folder: DeviceFolder, options: RunOptions, isRefused: boolean) {
  const [identity, bundle] = await Promise.all([folder.operational(), folder.bundle()]);
  const isUsable = identity !== undefined && leaf(identity).notAfter > Date.now();
  if (isUsable && bundle !== undefined && !isRefused) return { identity, bundle };
  const fresh = await onboard(folder, options);
  const handedOver = await folder.bundle();
  if (handedOver === undefined)
    throw new AgentError('broken-folder', `${folder.path}/bundle.json: it is gone again`);
  return { identity: fresh, bundle: handedOver };
}

/** Says that it is alive until the session ends or it is told to stop; tells whether it has renewed meanwhile. */
async function live(
  session: MqttSession,
  folder: DeviceFolder,
  identity: Identity,
  { signal, report = () => {}, statusMs = STATUS_MS, maxWaitMs = MAX_WAIT_MS, renewAt }: RunOptions,
): Promise<boolean> {
  const over = new AbortController();
  void session.ended.then(() => over.abort());
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const ask = () => planRenewal(folder, identity, { signal: stop });
  const clock = new RenewalClock(
    renewAt === undefined ? { ask } : { fixed: renewAt(identity) },
    ({ renewAt: at, by }) => report({ step: 'renewal-planned', at: new Date(at), by }),
  );
  let statusDue = 0;
  for (let failures = 0; !stop.aborted; ) {
    const now = Date.now();
    if (now >= statusDue) {
      statusDue = now + statusMs;
      // Not awaited: a broker that is slow to acknowledge must hold up neither a renewal nor a stop.
      session
        .publish(['status'], JSON.stringify({ alive: true, at: new Date(now).toISOString() }))
        .catch(() => {});
    }
    if (clock.isDue(now)) {
      try {
        await renew(folder, stop);
        report({ step: 'renewed' });
        return true;
      } catch (error) {
        if (stop.aborted) return false;
        if (!(error instanceof AgentError)) throw error;
        const jitter = jittered(failures++, RENEWAL_RETRY_MS, maxWaitMs);
        const told = Math.min((error.retryAfter ?? 0) * 1000, LONGEST_TIMER_MS);
        const ms = Math.max(RENEWAL_RETRY_MS, told) + jitter;
        report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
        clock.postpone(Date.now() + ms);
      }
    }
    const ms = Math.min(Math.max(Math.min(statusDue, clock.next) - Date.now(), 0), LONGEST_TIMER_MS);
    await pause(ms, AbortSignal.any([stop, clock.changed]));
  }
  return false;
}
