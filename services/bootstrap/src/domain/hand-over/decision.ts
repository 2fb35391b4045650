import type { DeviceState, RefusalCode } from '@signet/contracts';
import type { DeviceRecord } from '../device/device-record.ts';

/** What is known of a device that is not handed over. `account`: its owner, or whoever made it. */
export type NoHandOver = {
  readonly code: RefusalCode;
  /** For operators. */
  readonly message: string;
  readonly account?: string;
  readonly deviceId?: string;
};

/** What a device that asks for its hand-over gets. */
export type HandOverDecision =
  | { readonly kind: 'hand-over'; readonly account: string; readonly deviceId: string }
  /** No account owns it yet: it shall ask again. */
  | ({ readonly kind: 'wait'; readonly state: DeviceState } & NoHandOver)
  | ({ readonly kind: 'refuse' } & NoHandOver);

/** Only a claimed device, or one further on that comes back for a new grant, is handed over. */
export function decideHandOver(record: DeviceRecord | undefined): HandOverDecision {
  if (record === undefined) {
    const message = 'fingerprint: no factory of this platform made this device';
    return { kind: 'refuse', code: 'unknown-device', message };
  }
  const { account, deviceId, state } = record;
  const known = { account: account ?? record.factoryAccount, deviceId };
  if (state === 'blocked' || state === 'retired') {
    const message = `state: the device is ${state}: ${record.reason ?? 'no reason given'}`;
    return { kind: 'refuse', code: state, message, ...known };
  }
  if (account === undefined) {
    const message = 'fingerprint: no account has claimed this device';
    return { kind: 'wait', state, code: 'unclaimed', message, ...known };
  }
  return { kind: 'hand-over', account, deviceId };
}
