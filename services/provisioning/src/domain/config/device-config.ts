import { Account, ConfigFile, DeviceId, newEvent, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** The config of one device. `version` grows by one with each change; the id is `<account>/<device>`. */
export const DeviceConfig = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  version: z.number().int().min(0),
  changedAt: Time,
  files: z.array(ConfigFile),
});
export type DeviceConfig = z.infer<typeof DeviceConfig>;

export const deviceConfigs = {
  name: 'provisioning.configs',
  schema: DeviceConfig,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<DeviceConfig>;

/** Merges files by name (device-gateway: `PATCH /config` merges) and makes the next version. */
export function merge(
  config: DeviceConfig,
  facts: { files: readonly ConfigFile[]; by: string; now: number },
): Change<DeviceConfig> {
  const names = new Set(facts.files.map((file) => file.name));
  const document: DeviceConfig = {
    ...config,
    version: config.version + 1,
    changedAt: new Date(facts.now).toISOString(),
    files: [...config.files.filter((file) => !names.has(file.name)), ...facts.files],
  };
  const data = { deviceId: config.deviceId, version: document.version, files: [...names], by: facts.by };
  const event = newEvent('DEVICE_CONFIG_CHANGED', {
    account: config.account,
    subject: config.deviceId,
    data,
    time: facts.now,
  });
  return { document, events: [event] };
}

/** The body of `GET /config`: file name → value, handlers and whether it is plain text. */
export function configBody(
  files: readonly ConfigFile[],
): Record<string, { Value: string; OnChanged?: string[]; Unencrypted: boolean }> {
  return Object.fromEntries(
    files.map((file) => [
      file.name,
      {
        Value: file.value,
        Unencrypted: file.unencrypted,
        ...(file['on-changed'] === undefined ? {} : { OnChanged: file['on-changed'] }),
      },
    ]),
  );
}

/**
 * The config's mtime, as the protocol shows it: that of its last change, or of the last promotion of a key, after which
 * a device reads it once more. Whole seconds, in Unix ms.
 */
export function modifiedAt(config: DeviceConfig, promotedAt: string | undefined): number {
  const latest = Math.max(
    Date.parse(config.changedAt),
    promotedAt === undefined ? 0 : Date.parse(promotedAt),
  );
  return Math.floor(latest / 1000) * 1000;
}

/**
 * Is what the client has as new as the config? The header may end in "UTC" instead of "GMT". One that is no date is
 * ignored (RFC 9110 §13.1.3).
 */
export function isUnmodified(ifModifiedSince: string | undefined, modified: number): boolean {
  if (ifModifiedSince === undefined) return false;
  const since = Date.parse(ifModifiedSince.replace(/UTC$/, 'GMT'));
  return Number.isFinite(since) && modified <= since;
}
