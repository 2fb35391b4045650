import type { ConfigFile } from '@signet/contracts';
import type { DeviceConfig, LayeredFile } from './device-config.ts';
import type { SharedLayer } from './layer.ts';

/** All that one device reads. `groups` in the order of their names: of two that have a file, the later wins. */
export type Layers = {
  readonly own: DeviceConfig | undefined;
  readonly account: SharedLayer | undefined;
  readonly groups: readonly SharedLayer[];
};

/** account < group < device, file by file. */
export function effectiveFiles({ own, account, groups }: Layers): LayeredFile[] {
  const files = new Map<string, LayeredFile>();
  const put = (layer: string, from: readonly ConfigFile[] = []) => {
    for (const file of from) files.set(file.name, { ...file, layer });
  };
  put('account', account?.files);
  for (const group of groups) put(`group ${group.group}`, group.files);
  put('device', own?.files);
  return [...files.values()];
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

/** The config's mtime as the protocol shows it: whole seconds, in Unix ms. 0 where there is none. */
export function modifiedAt({ own, account, groups }: Layers, promotedAt: string | undefined): number {
  // A device that has no config of its own yet is not told of changes of its layers by its own version.
  const layers = own === undefined ? [account, ...groups] : [own];
  const times = layers.flatMap((layer) => (layer === undefined ? [] : [Date.parse(layer.changedAt)]));
  if (times.length === 0) return 0;
  if (promotedAt !== undefined) times.push(Date.parse(promotedAt));
  return Math.floor(Math.max(...times) / 1000) * 1000;
}

/**
 * Is what the client has as new as the config? The header may end in "UTC" instead of "GMT". One that is no date, or
 * lies in the future, says nothing (RFC 9110 §13.1.3).
 */
export function isUnmodified(ifModifiedSince: string | undefined, modified: number, now: number): boolean {
  if (ifModifiedSince === undefined) return false;
  const since = Date.parse(ifModifiedSince.replace(/UTC$/, 'GMT'));
  return Number.isFinite(since) && modified <= since && since <= Math.max(now, modified);
}
