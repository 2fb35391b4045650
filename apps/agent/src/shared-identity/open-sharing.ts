import { join } from 'node:path';
import type { DeviceFolder } from '../device-folder.ts';
import { IdentityFollower } from './follow-identity.ts';
import { SharedIdentity, type ShareEvent } from './share-identity.ts';

export type SharingOptions = {
  /** The folder that workloads read; by default `identity` of the device folder. */
  readonly path?: string;
  /** The group that may read it, by its number; by default nobody but the owner may. */
  readonly group?: number | undefined;
  /** How often the platform is asked for a newer CRL, ms. */
  readonly refreshMs?: number;
};

export type AgentSharing = {
  readonly identity?: SharingOptions | false;
  readonly handlers?: string;
  readonly handlerMs?: number;
  readonly report?: (event: ShareEvent) => void;
  readonly signal?: AbortSignal | undefined;
};

const REFRESH_MS = 600_000;
const RETRY_MS = 30_000;
const HANDLER_MS = 60_000;

/** The shared identity of a device, as the agent's options say. */
export function sharedIdentity(folder: DeviceFolder, options: AgentSharing): SharedIdentity | undefined {
  const { identity = {}, handlers = join(folder.path, 'handlers'), handlerMs = HANDLER_MS, report } = options;
  if (identity === false) return undefined;
  return new SharedIdentity(folder, {
    path: identity.path,
    access: { group: identity.group },
    handlers: { folder: handlers, deadlineMs: handlerMs },
    ...(report === undefined ? {} : { report }),
  });
}

/** Keeps it current in the background, until it is disposed of. */
export function openSharing(folder: DeviceFolder, options: AgentSharing): AsyncDisposable & { wake(): void } {
  const shared = sharedIdentity(folder, options);
  if (shared === undefined) return { wake: () => {}, [Symbol.asyncDispose]: async () => {} };
  const { refreshMs = REFRESH_MS } = options.identity || {};
  return new IdentityFollower(shared, {
    refreshMs,
    retryMs: Math.min(RETRY_MS, refreshMs),
    signal: options.signal,
  });
}
