import type { ConfigFile } from '@signet/contracts';
import type { DeviceConfig } from './device-config.ts';
import { type SharedLayer, wholeSecond } from './layer.ts';

/** A file, and the layer that it is in. */
export type LayeredFile = ConfigFile & { readonly layer: string };

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

/**
 * The config's mtime as the protocol shows it: whole seconds, in Unix ms. 0 where there is none. A key that was promoted
 * since the last change shows as one second more, so that a client whose last answer was lost reads the config again.
 */
export function modifiedAt({ own, account, groups }: Layers, promotedAt: string | undefined): number {
  // Once a device has a config of its own, that one's version and time tell of changes of every layer.
  const layers = own === undefined ? [account, ...groups] : [own];
  const held = layers.filter((layer) => layer !== undefined);
  const modified = Math.max(0, ...held.map(({ changedAt }) => wholeSecond(Date.parse(changedAt))));
  if (modified === 0 || promotedAt === undefined) return modified;
  const written = held.map(({ log, changedAt }) => log.at(-1)?.at ?? changedAt);
  return written.every((at) => at <= promotedAt) ? modified + 1000 : modified;
}

/**
 * Is what the client has as new as the config? The header may end in "UTC" instead of "GMT". One that is no date, or
 * lies in the future, says nothing (RFC 9110 §13.1.3).
 */
export function isUnmodified(ifModifiedSince: string | undefined, modified: number, now: number): boolean {
  const since = timeIn(ifModifiedSince);
  return modified <= since && since <= Math.max(now, modified);
}

/** Is the header the very time that a config of this mtime was answered with? */
export function isTimeOf(ifModifiedSince: string, modified: number): boolean {
  return modified > 0 && timeIn(ifModifiedSince) === modified;
}

function timeIn(header = ''): number {
  return Date.parse(header.replace(/UTC$/, 'GMT'));
}
