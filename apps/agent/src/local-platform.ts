import type { Bundle } from '@signet/contracts';
import { findRunningPlatform, type RunningPlatform } from '@signet/service/running-platform';
import type { DeviceFolder } from './device-folder.ts';

/** Says in which file an address was replaced by that of the platform on this machine. */
export type PlatformNews = { readonly step: 'platform-found'; readonly file: string; readonly url: string };

/**
 * A device on the machine of its platform follows it to other ports: if `bootstrap.json` names no address, or one of
 * this machine, the platform that runs on `dataDir` says where its bootstrap service is. What the device trusts stays
 * the same, so another platform is rejected by its certificate.
 */
export function bootstrapUrlHere(dataDir: string): (written: string | undefined) => string | undefined {
  return (written) => {
    const running = written === undefined || isLoopback(written) ? findRunningPlatform(dataDir) : undefined;
    return running?.bootstrap ?? written;
  };
}

/** Puts the addresses of the platform on this machine into a bundle that names older ones of this machine. */
export async function followLocalPlatform(
  folder: DeviceFolder,
  { dataDir, report }: { readonly dataDir: string; readonly report: (news: PlatformNews) => void },
): Promise<void> {
  const running = findRunningPlatform(dataDir);
  const bundle = running === undefined ? undefined : await folder.bundle();
  if (running === undefined || bundle === undefined) return;
  const moved = withAddresses(bundle, running);
  if (moved === bundle) return;
  await folder.putBundle(moved);
  report({ step: 'platform-found', file: 'bundle.json', url: running.gateway });
}

function withAddresses(bundle: Bundle, running: RunningPlatform): Bundle {
  const { est, mqtt, gateway } = bundle;
  const urls = [est.url, mqtt.url, gateway.url];
  const isHere = urls.every(isLoopback);
  const isCurrent = est.url === running.est && mqtt.url === running.mqtt && gateway.url === running.gateway;
  if (!isHere || isCurrent) return bundle;
  return {
    ...bundle,
    est: { ...est, url: running.est },
    mqtt: { ...mqtt, url: running.mqtt },
    gateway: { ...gateway, url: running.gateway },
  };
}

function isLoopback(url: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}
