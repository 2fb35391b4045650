import { deviceNow } from './clock.ts';
import type { DeviceFolder } from './device-folder.ts';
import { type Identity, leaf } from './identity.ts';
import { readSeen, type Seen } from './last-seen.ts';
import { queueFolder, reportFolder } from './messages/device-messages.ts';
import { type QueueSize, sizeOf } from './messages/message-queue.ts';
import { readSegments } from './messages/segments.ts';
import { renewalDue } from './renewal-due.ts';
import { stateOf } from './updates/update-state.ts';
import { wantedArtifacts } from './updates/wanted.ts';

/** Who the device is, with which key, until when; whom it has met, and what is pending. Times are ISO 8601. */
export type AgentStatus = {
  readonly folder: string;
  /** Of the bootstrap certificate: what an operator claims. */
  readonly fingerprint: string;
  readonly account?: string;
  readonly deviceId?: string;
  readonly certificate?: {
    readonly serialNumber: string;
    /** Who holds the key: the device folder itself, a TPM, a PKCS#11 token. */
    readonly keyKind: 'file' | 'tpm' | 'pkcs11';
    /** As OpenSSL calls it: `ec prime256v1`, `rsa`, `ed25519`. */
    readonly keyType: string;
    /** SHA-256 of the SubjectPublicKeyInfo, hex. */
    readonly publicKeyHash: string;
    readonly notAfter: string;
    readonly expired: boolean;
    readonly renewFrom: string;
    readonly renewBy: 'server' | 'own';
  };
  readonly contacts: Seen['contacts'];
  readonly pending: Pending;
  readonly refusals: Seen['refusals'];
};

/** What waits. `octets` is the former name of `bytes` in `status --json`: it goes with the next release. */
export type WaitingSize = QueueSize & { readonly octets: number };

export type Pending = {
  readonly enrolment: boolean;
  readonly rotation?: { readonly id: string; readonly step: string; readonly startedAt: string };
  /** The version that the platform has told of, and the one that is in force. */
  readonly config?: { readonly told: string; readonly applied: string | undefined };
  readonly updates: readonly { readonly name: string; readonly version: string }[];
  /** Of the workloads, for the broker. */
  readonly messages: WaitingSize;
  /** The agent's own, for the platform. */
  readonly reports: WaitingSize;
};

/** Reads the device folder; asks no server. @throws AgentError `not-a-device-folder`, `broken-folder` */
export async function readStatus(folder: DeviceFolder, now: number = deviceNow()): Promise<AgentStatus> {
  const { identity } = await folder.factoryFiles();
  const [bundle, operational, seen] = await Promise.all([
    folder.bundle(),
    folder.operational(),
    readSeen(folder),
  ]);
  return {
    folder: folder.path,
    fingerprint: leaf(identity).fingerprint,
    ...(bundle === undefined ? {} : { account: bundle.account, deviceId: bundle.deviceId }),
    ...(operational === undefined ? {} : { certificate: certificateOf(folder, operational, seen, now) }),
    contacts: seen.contacts,
    pending: await pendingOf(folder, seen),
    refusals: seen.refusals,
  };
}

function certificateOf(folder: DeviceFolder, operational: Identity, { renewal }: Seen, now: number) {
  const { serialNumber, publicKeyHash, notBefore, notAfter } = leaf(operational);
  const { asymmetricKeyType = 'unknown', asymmetricKeyDetails } = folder.keys.publicKey(operational.key);
  const { namedCurve } = asymmetricKeyDetails ?? {};
  // the plan of an earlier certificate ends before this one began
  const isPlanned = renewal !== undefined && Date.parse(renewal.at) > notBefore;
  return {
    ...{ serialNumber, publicKeyHash },
    keyKind: operational.holder?.kind ?? ('file' as const),
    keyType: namedCurve === undefined ? asymmetricKeyType : `${asymmetricKeyType} ${namedCurve}`,
    notAfter: new Date(notAfter).toISOString(),
    expired: notAfter <= now,
    renewFrom: isPlanned ? renewal.at : new Date(renewalDue(operational, () => 0)).toISOString(),
    renewBy: isPlanned ? renewal.by : ('own' as const),
  };
}

async function pendingOf(folder: DeviceFolder, { config: told }: Seen): Promise<Pending> {
  const [key, operational, rotation, config, messages, reports] = await Promise.all([
    folder.pendingKey(),
    folder.operational(),
    folder.rotation(),
    folder.config(),
    readSegments(queueFolder(folder)),
    readSegments(reportFolder(folder)),
  ]);
  const applied = config?.version;
  return {
    enrolment: key !== undefined && operational === undefined,
    ...(rotation === undefined || rotation.step === 'completed' ? {} : { rotation }),
    ...(told === undefined || Number(told) <= Number(applied ?? 0) ? {} : { config: { told, applied } }),
    updates: await updatesOf(folder),
    messages: waitingSize(messages),
    reports: waitingSize(reports),
  };
}

/** What the config asks for and is not in place, unless it has failed for good. */
async function updatesOf(folder: DeviceFolder): Promise<{ name: string; version: string }[]> {
  const wanted = await wantedArtifacts(folder);
  const pending = wanted.map(async ({ name, version, digest }) => {
    const { applied, last } = await stateOf(folder, name);
    const isOver = last?.entry === digest ? last.outcome !== undefined : applied === version;
    return isOver ? [] : [{ name, version }];
  });
  return (await Promise.all(pending)).flat();
}

function waitingSize(held: Parameters<typeof sizeOf>[0]): WaitingSize {
  const size = sizeOf(held);
  return { ...size, octets: size.bytes };
}
