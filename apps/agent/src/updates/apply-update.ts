import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactEntry, Bundle } from '@signet/contracts';
import { requireOwnError } from '../agent-error.ts';
import { clockNow, deviceNow } from '../clock.ts';
import { runProgram } from '../config/handlers.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type { GatewayClient, UpdateReport } from '../gateway-client.ts';
import type { Identity } from '../identity.ts';
import { download } from './download.ts';
import { eventId, type Outcome, putState, type UpdateState } from './update-state.ts';
import { verifyEntry } from './verify-entry.ts';
import type { Wanted } from './wanted.ts';

export type Updating = {
  readonly folder: DeviceFolder;
  readonly bundle: Bundle;
  readonly identity: Identity;
  readonly gateway: Pick<GatewayClient, 'report'>;
  /** The only folder whose programs may be run. */
  readonly handlers: string;
  readonly signal: AbortSignal;
};

export type Updated = Outcome & { readonly name: string; readonly version: string };

/**
 * Brings an artifact into place unless it is: signature, download, handler, each told to the platform. Whatever fails
 * for good is told once and not tried again until the config says something else of it; the handler alone may run twice,
 * where the power fails under it.
 * @returns undefined where nothing was left to do
 * @throws AgentError of what may go through later, told once too
 */
export async function applyUpdate(
  wanted: Wanted,
  known: UpdateState,
  parts: Updating,
): Promise<Updated | undefined> {
  const { folder } = parts;
  const { name, version, digest } = wanted;
  const isSame = known.last?.entry === digest;
  if (isSame && known.last?.told === true) return undefined;
  if (known.applied === version && !isSame) return undefined;
  const last =
    isSame && known.last !== undefined ? known.last : { entry: digest, id: randomUUID(), told: false };
  const state = { ...known, last };
  if (!isSame) {
    await rm(partOf(folder, name), { force: true });
    await putState(folder, name, state);
  }
  const tell: Tell = (event, news = {}) =>
    parts.gateway.report(parts.identity, [report(wanted, last.id, { event, ...news })]);
  const outcome = last.outcome ?? (await carriedOut(wanted, parts, tell));
  const applied = outcome.success ? version : known.applied;
  const ended = { ...(applied === undefined ? {} : { applied }), last: { ...last, outcome } };
  if (last.outcome === undefined) await putState(folder, name, ended);
  await rm(artifactOf(folder, name), { force: true });
  await tell(outcome.event, outcome);
  await putState(folder, name, { ...ended, last: { ...ended.last, told: true } });
  return { name, version, ...outcome };
}

/** `isPassing`: it is tried again, and how it ends is told besides. */
type News = {
  readonly success?: boolean | undefined;
  readonly details?: string | undefined;
  readonly isPassing?: boolean;
};
type Tell = (event: string, news?: News) => Promise<void>;

/** @throws AgentError of what may go through later */
async function carriedOut(wanted: Wanted, parts: Updating, tell: Tell): Promise<Outcome> {
  const { folder, bundle, signal } = parts;
  await tell('EcuDownloadStarted');
  if ('fault' in wanted) return { event: 'EcuDownloadCompleted', success: false, details: wanted.fault };
  const { entry } = wanted;
  const part = partOf(folder, entry.name);
  try {
    verifyEntry(entry, { bundle, identity: parts.identity, now: clockNow() });
    await download({
      ...{ url: entry.url, path: part, facts: entry, signal },
      trustAnchors: bundle.trustAnchors,
    });
  } catch (raw) {
    if (signal.aborted) throw raw;
    const error = requireOwnError(raw);
    const details = error.message.slice(0, 4000);
    if (!error.isPassing) return { event: 'EcuDownloadCompleted', success: false, details };
    const news = { success: false, details: `${details}; it is tried again` };
    await tell('EcuDownloadCompleted', { ...news, isPassing: true });
    throw error;
  }
  await tell('EcuDownloadCompleted', { success: true });
  await tell('EcuInstallationStarted');
  return install(wanted.entry, parts);
}

async function install(entry: ArtifactEntry, parts: Updating): Promise<Outcome> {
  const { name, version, handler, timeoutSeconds } = entry;
  const artifact = artifactOf(parts.folder, name);
  await mkdir(dirname(artifact), { recursive: true, mode: 0o700 });
  await rename(partOf(parts.folder, name), artifact);
  const env = { ARTIFACT_FILE: artifact, ARTIFACT_NAME: name, ARTIFACT_VERSION: version };
  const rules = { folder: parts.handlers, deadlineMs: timeoutSeconds * 1000 };
  const { success, output } = await runProgram(handler, { env }, rules);
  const details = output.slice(0, 4000);
  return { event: 'EcuInstallationCompleted', success, ...(details === '' ? {} : { details }) };
}

function report(
  { name, version }: Wanted,
  id: string,
  { event, success, details, isPassing = false }: News & { readonly event: string },
): UpdateReport {
  return {
    id: eventId(id, [event, success, isPassing].join('/')),
    deviceTime: new Date(deviceNow()).toISOString(),
    event: {
      correlationId: `${name}-${version}`,
      ...{ targetName: name, version },
      ...(success === undefined ? {} : { success }),
      ...(details === undefined ? {} : { details }),
    },
    eventType: { id: event, version: 0 },
  };
}

/** In a folder of its own: no artifact takes the name of the state, or of another's `.part`. */
function artifactOf(folder: DeviceFolder, name: string): string {
  return join(folder.path, 'updates', 'ready', name);
}

function partOf(folder: DeviceFolder, name: string): string {
  return join(folder.path, 'updates', `${name}.part`);
}
