import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { AgentError, requireOwnError } from './agent-error.ts';
import { deviceNow, ticksNow } from './clock.ts';
import { CommandRunner } from './commands/command-runner.ts';
import type { DeviceFolder } from './device-folder.ts';
import { type Identity, leaf } from './identity.ts';
import { retireKeys } from './keys/retire-keys.ts';
import { LastSeen } from './last-seen.ts';
import { live } from './live.ts';
import type { PlatformNews } from './local-platform.ts';
import { DeviceMessages, type MessageNews, type MessageOptions } from './messages/device-messages.ts';
import type { Reports } from './messages/report-sender.ts';
import { openMqttSession } from './mqtt-session.ts';
import { onboard, type Step } from './onboard.ts';
import { jittered, pause } from './pause.ts';
import type { RenewalPlan } from './renewal-plan.ts';
import { type RotateOptions, rotate } from './rotation/rotate.ts';
import { openSharing, type SharingOptions } from './shared-identity/open-sharing.ts';
import type { ShareEvent } from './shared-identity/share-identity.ts';

export type RunEvent =
  | Step
  | ShareEvent
  | { readonly step: 'connected' | 'disconnected' | 'renewed' }
  | {
      readonly step: 'config-applied';
      readonly version: string;
      readonly changed: string;
      readonly failed: string;
    }
  | { readonly step: 'config-failed'; readonly reason: string }
  | {
      readonly step: 'update-applied' | 'update-failed';
      readonly name: string;
      readonly version: string;
      readonly details: string;
    }
  | { readonly step: 'update-waits'; readonly reason: string }
  | { readonly step: 'command-done'; readonly id: string; readonly name: string; readonly success: boolean }
  | { readonly step: 'command-refused'; readonly reason: string; readonly id: string | undefined }
  | MessageNews
  | PlatformNews
  | { readonly step: 'renewal-planned'; readonly at: Date; readonly by: RenewalPlan['by'] }
  | { readonly step: 'message'; readonly levels: string[]; readonly payload: Buffer };

export type RunOptions = {
  readonly report?: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
  /** How often the device says that it is alive (`up/status`), ms. */
  readonly statusMs?: number;
  /** How often the config is asked for without a notice, ms. */
  readonly configMs?: number;
  /** The folder whose programs the config may name, for changes and software; by default `handlers` of the device folder. */
  readonly handlers?: string;
  /** The folder whose programs commands name; by default `commands` of the device folder. */
  readonly commands?: string;
  /** Where workloads find the device's identity; false: nowhere. */
  readonly identity?: SharingOptions | false;
  /** What such programs may take, ms. */
  readonly handlerMs?: number;
  /** Ceiling of every wait, ms. */
  readonly maxWaitMs?: number;
  /** When a certificate is to be renewed, Unix ms; by default when the server suggests, or at two thirds of its life. */
  readonly renewAt?: (identity: Identity) => number;
  /** The socket for workloads, and what may wait there; false: no socket. */
  readonly messages?: MessageOptions | false;
  /** Unix ms. */
  readonly now?: () => number;
};

const MAX_WAIT_MS = 60_000;
const COMMAND_MS = 60_000;
/** A session that lasted so long was a sound one: the next wait is short again. */
const STEADY_MS = 10_000;
/** The broker's refusals in a row after which the device asks bootstrap again; it doubles up to the second. */
const REFUSALS = { first: 2, most: 64 };

/**
 * Keeps the device alive until the signal fires: onboards if it must, connects, reconnects with jitter, renews when due
 * without leaving the broker. Where the broker refuses the identity (a revoked certificate), or the gateway has no record
 * of it (a restore from an older copy), the device goes back to bootstrap; a refusal there ends the run.
 * @throws AgentError `refused`, `not-a-device-folder`, `broken-folder`
 */
export async function run(folder: DeviceFolder, options: RunOptions = {}): Promise<void> {
  const { report = () => {}, signal, maxWaitMs = MAX_WAIT_MS, now = deviceNow } = options;
  await using seen = await LastSeen.open(folder, { now });
  await using messages = await DeviceMessages.open(folder, {
    messages: options.messages ?? {},
    ...{ now, maxWaitMs, report, contact: (server) => seen.contact(server) },
  });
  await using commands = new CommandRunner(folder, {
    programs: {
      folder: options.commands ?? join(folder.path, 'commands'),
      deadlineMs: options.handlerMs ?? COMMAND_MS,
    },
    done: (id, name, success) => report({ step: 'command-done', id, name, success }),
    refused: (reason, id) => {
      seen.refused(`command ${id ?? ''}: ${reason}`);
      report({ step: 'command-refused', reason, id });
    },
  });
  const onboarding = (step: Step) => {
    if (step.step === 'handed-over') seen.contact('bootstrap');
    if (step.step === 'enrolled') seen.contact('est');
    report(step);
  };
  await using sharing = openSharing(folder, options);
  // what a kill has left
  await retireKeys(folder);
  let refusals = 0;
  let patience = REFUSALS.first;
  for (let failures = 0; signal?.aborted !== true; ) {
    try {
      const isRefused = refusals >= patience;
      const { identity, bundle } = await enrolled(
        folder,
        { ...options, report: onboarding, reports: messages.reports },
        isRefused,
      );
      sharing.wake();
      if (isRefused) {
        refusals = 0;
        patience = Math.min(patience * 2, REFUSALS.most);
      }
      const notices = new EventEmitter<{ config: [] }>();
      const onMessage = (levels: string[], payload: Buffer) => {
        const name = levels.join('/');
        if (name === 'config') {
          seen.noticed(payload);
          notices.emit('config');
        }
        if (name === 'command') commands.take(payload);
        messages.take(levels, payload);
        report({ step: 'message', levels, payload });
      };
      const will = JSON.stringify({ alive: false, since: new Date(now()).toISOString() });
      await using session = await openMqttSession(bundle, identity, { onMessage, signal, will });
      const since = ticksNow();
      commands.online({ publish: (levels, payload) => messages.say(levels, payload) });
      messages.online(session);
      seen.contact('mqtt');
      report({ step: 'connected' });
      refusals = 0;
      patience = REFUSALS.first;
      const isRenewed = await live({ session, folder, identity, notices, messages, seen }, options);
      await messages.hold();
      if (isRenewed) continue;
      report({ step: 'disconnected' });
      failures = ticksNow() - since >= STEADY_MS ? 0 : failures + 1;
      await pause(jittered(failures, 250, maxWaitMs), signal);
    } catch (raw) {
      if (signal?.aborted) return;
      const error = requireOwnError(raw);
      seen.failed(error);
      // Onboarding tries again by itself: what comes out of it is final. A late renewal meets what passes, too.
      const isByBroker = error.code === 'refused' && error.status === undefined;
      const isNotOnRecord = error.code === 'not-on-record';
      if (!isByBroker && !isNotOnRecord && !error.isPassing) throw error;
      if (isByBroker) refusals++;
      if (isNotOnRecord) refusals = patience;
      const told = Math.min((error.retryAfter ?? 0) * 1000, maxWaitMs);
      const ms = told + jittered(failures++, 250, maxWaitMs);
      report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
      await pause(ms, signal);
    }
  }
}

/** The operational identity with its bundle: the kept ones, unless they are of no use. */
async function enrolled(
  folder: DeviceFolder,
  options: Omit<RunOptions, 'report'> & { readonly report: (step: Step) => void; readonly reports: Reports },
  isRefused: boolean,
) {
  const [identity, bundle] = await Promise.all([folder.operational(), folder.bundle()]);
  if (identity !== undefined && bundle !== undefined && !isRefused) {
    const { now = deviceNow } = options;
    if (leaf(identity).notAfter > now()) return { identity, bundle };
    const renewed = await renewedLate(folder, { now, signal: options.signal, reports: options.reports });
    if (renewed !== undefined) return { identity: renewed, bundle };
  }
  const fresh = await onboard(folder, options);
  const handedOver = await folder.bundle();
  if (handedOver === undefined)
    throw new AgentError('broken-folder', `${folder.path}/bundle.json: it is gone again`);
  return { identity: fresh, bundle: handedOver };
}

/** After its end a certificate may still renew, if the account allows (F9); undefined where it does not. */
async function renewedLate(folder: DeviceFolder, options: RotateOptions) {
  try {
    return await rotate(folder, options);
  } catch (error) {
    if (error instanceof AgentError && !error.isPassing) return undefined;
    throw error;
  }
}
