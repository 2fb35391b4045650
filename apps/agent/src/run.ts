import { AgentError } from './agent-error.ts';
import type { DeviceFolder, Identity } from './device-folder.ts';
import { leaf } from './est-client.ts';
import { type MqttSession, openMqttSession } from './mqtt-session.ts';
import { onboard, type Step } from './onboard.ts';
import { jittered, pause } from './pause.ts';
import { renew, renewalDue } from './renew.ts';

export type RunEvent =
  | Step
  | { readonly step: 'connected' | 'disconnected' | 'renewed' }
  | { readonly step: 'message'; readonly levels: string[]; readonly payload: Buffer };

export type RunOptions = {
  readonly report?: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
  /** How often the device says that it is alive (`up/status`), ms. */
  readonly statusMs?: number;
  /** Ceiling of every wait, ms. */
  readonly maxWaitMs?: number;
};

const STATUS_MS = 30_000;
const MAX_WAIT_MS = 60_000;
const LONGEST_TIMER_MS = 3_600_000;

/**
 * Keeps the device alive: onboards if it must, connects, reconnects with jitter, renews when due. Where the broker
 * refuses an identity that the device takes for good, it goes back to bootstrap; a refusal there ends the run.
 * @throws AgentError `refused`, `not-a-device-folder`
 */
export async function run(folder: DeviceFolder, options: RunOptions = {}): Promise<void> {
  const { report = () => {}, signal, maxWaitMs = MAX_WAIT_MS } = options;
  for (let failures = 0; signal?.aborted !== true; ) {
    const identity = (await usable(folder)) ?? (await onboard(folder, options));
    const bundle = await folder.bundle();
    if (bundle === undefined) throw new AgentError('broken-folder', `${folder.path}: bundle.json is missing`);
    try {
      await using session = await openMqttSession(bundle, identity);
      failures = 0;
      report({ step: 'connected' });
      session.onMessage((levels, payload) => report({ step: 'message', levels, payload }));
      await live(session, identity, options);
      report({ step: 'disconnected' });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      failures++;
      report({ step: 'retrying', reason: error.message, seconds: 0 });
      // A broker that goes on refusing: the certificate was revoked, and bootstrap knows what is to be done.
      if (error.code === 'refused' && failures >= 3) await folder.dropOperational();
    }
    if (signal?.aborted) return;
    if (renewalDue(identity, () => 0) <= Date.now()) {
      await renew(folder, signal).then(
        () => report({ step: 'renewed' }),
        (error: unknown) => report({ step: 'retrying', reason: String(error), seconds: 0 }),
      );
    }
    await pause(jittered(failures, 250, maxWaitMs), signal);
  }
}

/** The operational identity, unless its time is over. */
async function usable(folder: DeviceFolder): Promise<Identity | undefined> {
  const identity = await folder.operational();
  return identity !== undefined && leaf(identity).notAfter > Date.now() ? identity : undefined;
}

/** Says that it is alive until the session ends, a renewal is due, or it is told to stop. */
async function live(
  session: MqttSession,
  identity: Identity,
  { signal, statusMs = STATUS_MS }: RunOptions,
): Promise<void> {
  const over = new AbortController();
  void session.ended.then(() => over.abort());
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const due = renewalDue(identity);
  while (!stop.aborted && Date.now() < due) {
    await session
      .publish(['status'], JSON.stringify({ alive: true, at: new Date().toISOString() }))
      .catch(() => {});
    await pause(Math.min(statusMs, Math.max(due - Date.now(), 0), LONGEST_TIMER_MS), stop);
  }
}
