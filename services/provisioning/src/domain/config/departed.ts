import type { Change } from '@signet/store';
import { type DeviceConfig, upToDate } from './device-config.ts';

/**
 * The device left the account at `at`: its own layer is gone, and who wrote what in it. What was written later is the
 * next device's. The version stays, so that the next one is another than any that a client holds.
 */
export function departed(config: DeviceConfig, at: string): Change<DeviceConfig> | undefined {
  const { applied, replaced: _replaced, rekeyed: _rekeyed, ...rest } = upToDate(config);
  const log = rest.log.filter((entry) => entry.at > at);
  const later = new Set(log.flatMap(({ layer, set }) => (layer === 'device' ? set : [])));
  const files = rest.files.filter(({ name }) => later.has(name));
  const isOfLater = applied !== undefined && applied.at > at;
  if (files.length === rest.files.length && log.length === rest.log.length && config.rekeyed === undefined)
    return undefined;
  return { document: { ...rest, files, log, ...(isOfLater ? { applied } : {}) } };
}
