import { AgentError } from './agent-error.ts';
import type { DeviceFolder } from './device-folder.ts';
import { reenroll } from './est-client.ts';
import { type Identity, leaf } from './identity.ts';
import { newPendingKey } from './onboard.ts';
import { refreshAnchors } from './refresh-anchors.ts';

/**
 * Renews the operational certificate with a new key. The new key is on disk before it is shown, key and certificate
 * come into force in one rename, and until then the old identity works: a cut anywhere leaves a usable one. The trust
 * anchors are fetched anew with it, so that a root can be replaced under a running fleet.
 * @throws AgentError `not-enrolled`, `refused`, `unreachable`
 */
export async function renew(folder: DeviceFolder, signal?: AbortSignal): Promise<Identity> {
  const [bundle, identity] = await Promise.all([folder.bundle(), folder.operational()]);
  if (bundle === undefined || identity === undefined) {
    throw new AgentError(
      'not-enrolled',
      `${folder.path}: the device has not enrolled yet; run "signet-agent onboard"`,
    );
  }
  const key = (await folder.pendingKey()) ?? (await newPendingKey(folder));
  const server = {
    url: bundle.est.url,
    label: bundle.est.label,
    trust: bundle.trustAnchors.join('\n'),
    signal,
    keys: folder.keys,
  };
  const renewed = await reenroll(server, { key, identity });
  await folder.putOperational(renewed);
  await refreshAnchors(folder, server, renewed).catch(untilNextTime);
  return renewed;
}

/** The renewal has gone through; the roots that are in force now are fetched with the next one. */
function untilNextTime(error: unknown): void {
  if (!(error instanceof AgentError)) throw error;
}

/** When a certificate is due for renewal: at two thirds of its life, and up to a tenth later by chance. Unix ms. */
export function renewalDue(identity: Identity, random: () => number = Math.random): number {
  const { notBefore, notAfter } = leaf(identity);
  const life = notAfter - notBefore;
  return notBefore + life * (2 / 3 + random() / 10);
}
