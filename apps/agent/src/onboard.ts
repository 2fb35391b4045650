import type { Bundle } from '@signet/contracts';
import { type Certificate, createCsrBy, encodePem, parseCertificatePem } from '@signet/pki';
import { AgentError, requireOwnError } from './agent-error.ts';
import { requestHandoff } from './bootstrap-client.ts';
import type { DeviceFolder } from './device-folder.ts';
import { enroll } from './est-client.ts';
import { type Identity, leaf } from './identity.ts';
import { retireKeys } from './keys/retire-keys.ts';
import { jittered, pause } from './pause.ts';
import { setAside } from './repair/set-aside.ts';
import { proveSecondIdentity, type SecondIdentity } from './second-identity.ts';

export type Step =
  /** `fingerprint`: of the bootstrap certificate, by which an operator claims the device. */
  | { readonly step: 'waiting'; readonly seconds: number; readonly fingerprint: string }
  | { readonly step: 'handed-over'; readonly account: string; readonly deviceId: string }
  /** The device has two bootstrap certificates; `reason`: why the other one is not taken for its own. */
  | { readonly step: 'second-identity'; readonly fingerprint: string; readonly reason?: string }
  | { readonly step: 'enrolled'; readonly notAfter: Date }
  | { readonly step: 'retrying'; readonly reason: string; readonly seconds: number };

export type OnboardOptions = {
  readonly report?: (step: Step) => void;
  readonly signal?: AbortSignal;
  /** Ceiling of every wait, ms; the server's Retry-After counts below it. */
  readonly maxWaitMs?: number;
  /** Sends the CSR with the bootstrap request: where the account and its profile allow, the bundle has the certificate. */
  readonly atOnce?: boolean;
};

const MAX_WAIT_MS = 60_000;
/** Enrolments refused in a row, each with a grant of its own, before the agent gives up. */
const MAX_GRANTS = 5;

/**
 * From the factory's identity to the operational one: proof of the other bootstrap certificate where there is one,
 * handoff (waiting until the device is claimed), enrolment with a key made here. Each step is on disk before the next,
 * so it goes on where it was cut. What passes (a service that is unavailable) is tried again for ever. A grant that EST does
 * not take (used up, expired on the way) is replaced by a new handoff, five times; any other refusal ends it.
 * @throws AgentError `refused`, `not-a-device-folder`, `broken-folder`, `bad-answer`
 */
export async function onboard(folder: DeviceFolder, options: OnboardOptions = {}): Promise<Identity> {
  const { report = () => {}, signal, maxWaitMs = MAX_WAIT_MS, atOnce = false } = options;
  let grants = 0;
  let isSecondTold = false;
  for (let failures = 0; ; ) {
    signal?.throwIfAborted();
    let isHandedOver = false;
    try {
      if (!isSecondTold) {
        const second = await proveSecondIdentity(folder, signal);
        isSecondTold = true;
        if (second.kind !== 'none') report(secondStep(second));
      }
      const bundle = await handoff(folder, atOnce, signal);
      if (typeof bundle === 'number') {
        failures = 0;
        const ms = Math.min(bundle * 1000, maxWaitMs);
        report({ step: 'waiting', seconds: ms / 1000, fingerprint: await fingerprintOf(folder) });
        await pause(ms, signal);
        continue;
      }
      report({ step: 'handed-over', account: bundle.account, deviceId: bundle.deviceId });
      isHandedOver = true;
      grants++;
      const identity = (await certificateIn(folder, bundle)) ?? (await enrolWith(folder, bundle, signal));
      await retireKeys(folder);
      report({ step: 'enrolled', notAfter: new Date(leaf(identity).notAfter) });
      return identity;
    } catch (raw) {
      signal?.throwIfAborted();
      const error = requireOwnError(raw);
      const isGrantRefused = isHandedOver && (error.status === 401 || error.status === 403);
      if (error.isPassing) grants = 0;
      else if (!isGrantRefused || grants >= MAX_GRANTS) throw error;
      const ms = Math.min((error.retryAfter ?? 0) * 1000 + jittered(failures++, 500, maxWaitMs), maxWaitMs);
      report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
      await pause(ms, signal);
    }
  }
}

async function fingerprintOf(folder: DeviceFolder): Promise<string> {
  return leaf((await folder.factoryFiles()).identity).fingerprint;
}

function secondStep({ fingerprint, ...second }: Exclude<SecondIdentity, { kind: 'none' }>): Step {
  const reason = second.kind === 'refused' ? { reason: second.reason } : {};
  return { step: 'second-identity', fingerprint, ...reason };
}

/** The bundle, or the seconds to wait for a claim. */
async function handoff(
  folder: DeviceFolder,
  atOnce: boolean,
  signal: AbortSignal | undefined,
): Promise<Bundle | number> {
  const { identity, trust, url } = await folder.factoryFiles();
  const csr = atOnce ? await pendingCsr(folder, leaf(identity)) : undefined;
  const answer = await requestHandoff({ url, identity, trust, csr, signal });
  if (answer.kind === 'wait') return answer.retryAfter;
  await folder.putBundle(answer.bundle);
  return answer.bundle;
}

/** For the key of the enrolment that is under way, in the name that the factory gave. */
async function pendingCsr(folder: DeviceFolder, { subject }: Certificate): Promise<string> {
  const signer = folder.keys.signer(await pendingKeyOf(folder));
  const { commonName = '' } = subject;
  return encodePem('CERTIFICATE REQUEST', await createCsrBy(signer, { subject: { commonName } }));
}

/** The identity of a bundle that has the certificate for the pending key. */
async function certificateIn(folder: DeviceFolder, { certificate }: Bundle): Promise<Identity | undefined> {
  const key = await folder.pendingKey();
  if (certificate === undefined || key === undefined) return undefined;
  const spki = folder.keys.publicKey(key).export({ type: 'spki', format: 'der' });
  if (!spki.equals(parseCertificatePem(certificate).spkiDer))
    throw new AgentError('bad-answer', 'bootstrap: the certificate in the bundle is for another key');
  const identity = { key, certificate, holder: folder.keys.holderOf(key) };
  await folder.putEnrolled(identity);
  return identity;
}

async function enrolWith(
  folder: DeviceFolder,
  { account, deviceId, est, trustAnchors }: Bundle,
  signal: AbortSignal | undefined,
): Promise<Identity> {
  const { identity } = await folder.factoryFiles();
  const key = await pendingKeyOf(folder);
  const server = {
    url: est.url,
    label: est.label,
    trust: trustAnchors.join('\n'),
    signal,
    keys: folder.keys,
  };
  const { username, grant } = est;
  const operational = await enroll(server, { key, deviceId, account, username, grant, identity });
  await folder.putEnrolled(operational);
  return operational;
}

/**
 * The key of the enrolment that is under way, or a new one. One that is not where keys are to be made now, since an earlier
 * start said something else, or that another TPM or token has, is set aside: no certificate is for it yet.
 */
export async function pendingKeyOf(folder: DeviceFolder): Promise<string> {
  const { keys } = folder;
  const kept = await folder.pendingKey();
  if (kept === undefined) return newPendingKey(folder);
  if (keys.placeOf(kept) === keys.place && (await keys.has(kept))) return kept;
  await setAside(folder, 'pending.key', '').apply();
  return newPendingKey(folder);
}

/**
 * That a key which leaves the TPM or token for a file does so by somebody's wish.
 * @throws AgentError `bad-key-spec` where nobody said where keys are made, and the one in force does not lie in the folder
 */
export async function requireKeySpec(folder: DeviceFolder): Promise<void> {
  const operational = folder.keys.isImplied ? await folder.operational() : undefined;
  const place = operational === undefined ? 'file' : folder.keys.placeOf(operational.key);
  if (place === 'file') return;
  const message = `operational.pem: its key is held by ${place === 'tpm' ? 'a TPM' : 'a token'}; say with --key where the next one is made: --key ${place}:…, or --key file: if it is to lie in the folder`;
  throw new AgentError('bad-key-spec', message);
}

async function newPendingKey(folder: DeviceFolder): Promise<string> {
  await requireKeySpec(folder);
  const note = async (name: string) => folder.putTokenKeys([...(await folder.tokenKeys()), name]);
  const key = await folder.keys.create(note);
  await folder.putPendingKey(key);
  return key;
}
