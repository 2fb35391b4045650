import type { DeviceFolder } from './device-folder.ts';
import { leaf } from './identity.ts';
import { renewalDue } from './renewal-due.ts';

/** Who the device is, with which key, until when. */
export type AgentStatus = {
  readonly folder: string;
  readonly fingerprint: string;
  readonly account?: string;
  readonly deviceId?: string;
  readonly certificate?: {
    readonly serialNumber: string;
    readonly publicKeyHash: string;
    readonly notAfter: string;
    readonly renewFrom: string;
    readonly expired: boolean;
  };
  readonly pending: boolean;
};

/** Reads the device folder; asks no server. @throws AgentError `not-a-device-folder` */
export async function readStatus(folder: DeviceFolder, now: number = Date.now()): Promise<AgentStatus> {
  const { identity } = await folder.factoryFiles();
  const [bundle, operational, pendingKey] = await Promise.all([
    folder.bundle(),
    folder.operational(),
    folder.pendingKey(),
  ]);
  const certificate = operational && leaf(operational);
  return {
    folder: folder.path,
    fingerprint: leaf(identity).fingerprint,
    ...(bundle === undefined ? {} : { account: bundle.account, deviceId: bundle.deviceId }),
    ...(operational === undefined || certificate === undefined
      ? {}
      : {
          certificate: {
            serialNumber: certificate.serialNumber,
            publicKeyHash: certificate.publicKeyHash,
            notAfter: new Date(certificate.notAfter).toISOString(),
            renewFrom: new Date(renewalDue(operational, () => 0)).toISOString(),
            expired: certificate.notAfter <= now,
          },
        }),
    pending: pendingKey !== undefined,
  };
}
