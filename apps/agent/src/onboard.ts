import { generateKeyPair } from '@signet/pki';
import { AgentError } from './agent-error.ts';
import { requestHandOver } from './bootstrap-client.ts';
import type { DeviceFolder, Identity } from './device-folder.ts';
import { enroll, leaf } from './est-client.ts';
import { jittered, pause } from './pause.ts';

export type Step =
  | { readonly step: 'waiting'; readonly seconds: number }
  | { readonly step: 'handed-over'; readonly account: string; readonly deviceId: string }
  | { readonly step: 'enrolled'; readonly notAfter: Date }
  | { readonly step: 'retrying'; readonly reason: string; readonly seconds: number };

export type OnboardOptions = {
  readonly report?: (step: Step) => void;
  readonly signal?: AbortSignal;
  /** Ceiling of every wait, ms; the server's Retry-After counts below it. */
  readonly maxWaitMs?: number;
};

const MAX_WAIT_MS = 60_000;

/**
 * From the factory's identity to the operational one: hand-over (waiting until the device is claimed), enrolment with a
 * key made here. Each step is on disk before the next, so it goes on where it was cut. What passes (a service that is
 * away) is tried again for ever; a refusal ends it.
 * @throws AgentError `refused`, `not-a-device-folder`, `bad-answer`
 */
export async function onboard(folder: DeviceFolder, options: OnboardOptions = {}): Promise<Identity> {
  const { report = () => {}, signal, maxWaitMs = MAX_WAIT_MS } = options;
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    try {
      const wait = await attempt(folder, report, signal);
      if (typeof wait !== 'number') return wait;
      failures = 0;
      const ms = Math.min(wait * 1000, maxWaitMs);
      report({ step: 'waiting', seconds: ms / 1000 });
      await pause(ms, signal);
    } catch (error) {
      if (!(error instanceof AgentError) || !error.isPassing) throw error;
      const ms = Math.min((error.retryAfter ?? 0) * 1000 + jittered(failures, 500, maxWaitMs), maxWaitMs);
      report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
      await pause(ms, signal);
    }
  }
}

/** One try: the identity, or the seconds to wait for a claim. */
async function attempt(
  folder: DeviceFolder,
  report: (step: Step) => void,
  signal: AbortSignal | undefined,
): Promise<Identity | number> {
  const { identity, trust, url } = await folder.factoryFiles();
  const handOver = await requestHandOver({ url, identity, trust, signal });
  if (handOver.kind === 'wait') return handOver.retryAfter;
  const { bundle } = handOver;
  await folder.putBundle(bundle);
  report({ step: 'handed-over', account: bundle.account, deviceId: bundle.deviceId });
  const key = (await folder.pendingKey()) ?? (await newPendingKey(folder));
  const server = {
    url: bundle.est.url,
    label: bundle.est.label,
    trust: bundle.trustAnchors.join('\n'),
    signal,
  };
  const { account, deviceId } = bundle;
  const { username, grant } = bundle.est;
  const operational = await enroll(server, { key, deviceId, account, username, grant, identity });
  await folder.putOperational(operational);
  report({ step: 'enrolled', notAfter: new Date(leaf(operational).notAfter) });
  return operational;
}

export async function newPendingKey(folder: DeviceFolder): Promise<string> {
  const key = generateKeyPair('P-256').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await folder.putPendingKey(key);
  return key;
}
