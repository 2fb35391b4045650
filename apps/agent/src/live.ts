import type { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { requireOwnError } from './agent-error.ts';
import { deviceNow, ticksNow } from './clock.ts';
import { ConfigFollower } from './config/follow-config.ts';
import type { DeviceFolder } from './device-folder.ts';
import type { Identity } from './identity.ts';
import type { LastSeen } from './last-seen.ts';
import type { DeviceMessages } from './messages/device-messages.ts';
import type { MqttSession } from './mqtt-session.ts';
import { jittered, pause } from './pause.ts';
import { RenewalClock } from './renewal-clock.ts';
import { planRenewal } from './renewal-plan.ts';
import { rotate } from './rotation/rotate.ts';
import type { RunOptions } from './run.ts';
import { UpdateFollower } from './updates/follow-updates.ts';

const STATUS_MS = 30_000;
const CONFIG_MS = 300_000;
const HANDLER_MS = 60_000;
const MAX_WAIT_MS = 60_000;
const RENEWAL_RETRY_MS = 5000;
const LONGEST_TIMER_MS = 3_600_000;

export type Life = {
  readonly session: MqttSession;
  readonly folder: DeviceFolder;
  readonly identity: Identity;
  readonly messages: DeviceMessages;
  readonly seen: LastSeen;
  /** What the platform says of a new config. */
  readonly notices: EventEmitter<{ config: [] }>;
};

/**
 * Says that it is alive, applies its config and renews when due, until the session ends or it is told to stop. True: it
 * has a new identity, and is to connect with it.
 */
export async function live(life: Life, options: RunOptions): Promise<boolean> {
  const { session, folder, identity, notices, messages, seen } = life;
  const { signal, report = () => {}, statusMs = STATUS_MS, maxWaitMs = MAX_WAIT_MS, renewAt } = options;
  const { now = deviceNow } = options;
  const over = new AbortController();
  void session.ended.then(() => over.abort());
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const clock = new RenewalClock(
    renewAt === undefined
      ? { ask: () => planRenewal(folder, identity, { signal: stop }) }
      : { fixed: renewAt(identity) },
    ({ renewAt: at, by }) => {
      if (by === 'server') seen.contact('est');
      seen.planned(at, by);
      report({ step: 'renewal-planned', at: new Date(at), by });
    },
    { now, ticks: ticksNow },
  );
  let order: { readonly id: string } | undefined;
  const ordered = (id: string) => {
    order = { id };
    clock.hurry();
  };
  const underWay = await folder.rotation();
  if (underWay !== undefined && underWay.step !== 'completed') clock.hurry();
  let config = followConfig(life, options, { stop, over, ordered });
  notices.on('config', () => config.wake());
  let statusDue = ticksNow();
  for (let failures = 0; !stop.aborted; ) {
    const ticks = ticksNow();
    if (ticks >= statusDue) {
      statusDue = ticks + statusMs;
      // Not awaited: a broker that is slow to acknowledge must hold up neither a renewal nor a stop.
      session
        .publish(['status'], JSON.stringify({ alive: true, at: new Date(now()).toISOString() }))
        .then(() => seen.contact('mqtt'))
        .catch(() => {});
    }
    if (clock.isDue()) {
      // the config is not changed under a rotation, which encrypts it anew
      await config.end();
      await messages.hold();
      try {
        // its last step ends this session: the platform then knows the old certificate no more
        await rotate(folder, { signal, now, reports: messages.reports, ...order });
        seen.contact('est');
        seen.contact('gateway');
        report({ step: 'renewed' });
        return true;
      } catch (raw) {
        if (signal?.aborted) break;
        const error = requireOwnError(raw);
        seen.failed(error);
        const jitter = jittered(failures++, RENEWAL_RETRY_MS, maxWaitMs);
        const told = Math.min((error.retryAfter ?? 0) * 1000, LONGEST_TIMER_MS);
        const ms = Math.max(RENEWAL_RETRY_MS, told) + jitter;
        report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
        messages.online(session);
        clock.postpone(ms);
        config = followConfig(life, options, { stop, over, ordered });
      }
    }
    const ms = Math.max(Math.min(statusDue - ticksNow(), clock.waitMs, LONGEST_TIMER_MS), 0);
    await pause(ms, AbortSignal.any([stop, clock.changed]));
  }
  await config.end();
  return false;
}

/**
 * Applies the config and its software from now on. What it fails with that will not pass ends the session, and is thrown
 * by `end`.
 */
function followConfig(
  { folder, identity, messages: { reports }, seen }: Life,
  options: RunOptions,
  wiring: { stop: AbortSignal; over: AbortController; ordered: (rotationId: string) => void },
): { wake(): void; end(): Promise<void> } {
  const { report = () => {} } = options;
  const ending = new AbortController();
  const handlers = options.handlers ?? join(folder.path, 'handlers');
  const updater = new UpdateFollower(folder, identity, {
    ...{ handlers, reports },
    maxWaitMs: options.configMs ?? CONFIG_MS,
    updated: ({ name, version, success, details = '' }) =>
      report({ step: success ? 'update-applied' : 'update-failed', name, version, details }),
    failed: (error) => {
      seen.failed(error);
      report({ step: 'update-waits', reason: error.message });
    },
  });
  const follower = new ConfigFollower(folder, identity, {
    reports,
    handlers: {
      folder: handlers,
      deadlineMs: options.handlerMs ?? HANDLER_MS,
    },
    pollMs: options.configMs ?? CONFIG_MS,
    asked: () => seen.contact('gateway'),
    failed: (error) => {
      seen.failed(error);
      report({ step: 'config-failed', reason: error.message });
    },
    applied: ({ version, changed, failed, ordered }) => {
      report({ step: 'config-applied', version, changed: changed.join(' '), failed: failed.join(' ') });
      if (ordered !== undefined) wiring.ordered(ordered);
      updater.wake();
    },
  });
  const stop = AbortSignal.any([wiring.stop, ending.signal]);
  const following = [follower.run(stop), updater.run(stop)];
  for (const work of following) work.catch(() => wiring.over.abort());
  return {
    wake: () => follower.wake(),
    async end() {
      ending.abort();
      await Promise.allSettled(following);
      await Promise.all(following);
    },
  };
}
