import type { RefusalCode } from '@signet/contracts';
import type { DeviceRecord } from './device-record.ts';

/** What a device that asks for its hand-over gets. */
export type HandOverDecision =
  | { readonly kind: 'hand-over'; readonly account: string; readonly deviceId: string }
  | { readonly kind: 'wait'; readonly state: DeviceRecord['state'] }
  | {
      readonly kind: 'refuse';
      readonly code: RefusalCode;
      readonly message: string;
      readonly account?: string | undefined;
    };

/** Only a claimed device, or one further on that comes back for a new grant, is handed over. */
export function decideHandOver(record: DeviceRecord | undefined): HandOverDecision {
  if (record === undefined) {
    return {
      kind: 'refuse',
      code: 'unknown-device',
      message: 'fingerprint: no factory of this platform made this device',
    };
  }
  if (record.state === 'blocked' || record.state === 'retired') {
    return {
      kind: 'refuse',
      code: record.state,
      message: `device ${record.deviceId}: ${record.reason ?? 'no reason given'}`,
      account: record.account,
    };
  }
  if (record.account === undefined) return { kind: 'wait', state: record.state };
  return { kind: 'hand-over', account: record.account, deviceId: record.deviceId };
}
