import {
  type AccountSettings,
  type DeviceState,
  PLATFORM_ACCOUNT,
  type RefusalCode,
} from '@signet/contracts';
import type { BlockRuleRecord, DeviceRecord, RedirectRecord } from '../../collections.ts';
import { rulerOf, secondIdentityOf } from '../device/find-device.ts';
import type { FactoryPin } from '../factory/factory-pins.ts';

/** Why a device gets no handoff. `account`: its owner, or its maker. */
export type NoHandoff = {
  readonly code: RefusalCode;
  /** For operators. */
  readonly message: string;
  readonly account?: string;
  readonly deviceId?: string;
};

/** What a device that asks for its handoff gets. */
export type HandoffDecision =
  | {
      readonly kind: 'handoff';
      readonly account: string;
      readonly deviceId: string;
      readonly settings: AccountSettings;
    }
  /** Another instance hands it over. */
  | { readonly kind: 'redirect'; readonly redirect: RedirectRecord; readonly account: string }
  /** Not now: it shall ask again. */
  | ({ readonly kind: 'wait'; readonly state: DeviceState } & NoHandoff)
  | ({ readonly kind: 'refuse' } & NoHandoff);

/** What the decision is made on. `fingerprint`: of the certificate that asks. */
export type HandoffFacts = {
  readonly fingerprint: string;
  readonly record: DeviceRecord | undefined;
  readonly rule: BlockRuleRecord | undefined;
  /** The pin of its factory CA that puts it out of force, though another account's pin let it in. */
  readonly voiding: FactoryPin | undefined;
  readonly redirect: RedirectRecord | undefined;
  /** Of the account that owns it. */
  readonly settings: AccountSettings | undefined;
  /** Whether that account is. */
  readonly suspended: boolean;
};

/** Only a claimed device, or a later one that may return for a new grant, gets a handoff. */
export function decideHandoff(facts: HandoffFacts): HandoffDecision {
  const { record, rule, voiding, redirect, settings, suspended, fingerprint } = facts;
  if (record === undefined) {
    if (redirect !== undefined) return { kind: 'redirect', redirect, account: PLATFORM_ACCOUNT };
    const message = 'fingerprint: no factory of this platform made this device';
    return { kind: 'refuse', code: 'unknown-device', message };
  }
  const { account, deviceId, state } = record;
  const known = { account: rulerOf(record), deviceId };
  if (state === 'blocked' || state === 'retired') {
    const message = `state: the device is ${state}: ${record.reason ?? 'no reason given'}`;
    return { kind: 'refuse', code: state, message, ...known };
  }
  if (rule !== undefined) {
    const message = `rule: the device is blocked: ${rule.reason}`;
    return { kind: 'refuse', code: 'blocked', message, ...known };
  }
  if (voiding !== undefined) {
    const message = `issuer: factory CA "${voiding.authorityId}" is ${voiding.state} in the account`;
    return { kind: 'refuse', code: 'issuer-disabled', message, ...known };
  }
  const { tokenRegistration } = record;
  if (tokenRegistration !== undefined && tokenRegistration.publicKeyHash !== record.publicKeyHash) {
    const message = 'fingerprint: the device registered again with another key since';
    return { kind: 'refuse', code: 'wrong-identity', message, ...known };
  }
  if (redirect !== undefined) return { kind: 'redirect', redirect, account: known.account };
  if (account === undefined || settings === undefined) {
    const message = 'fingerprint: no account has claimed this device';
    return { kind: 'wait', state, code: 'unclaimed', message, ...known };
  }
  if (suspended) {
    const message = `account: "${account}" is suspended`;
    return { kind: 'wait', state, code: 'account-suspended', message, ...known };
  }
  const second = secondIdentityOf(record);
  const which = fingerprint === second ? 'ldevid' : 'idevid';
  if (second !== undefined && settings.handsOver !== 'either' && settings.handsOver !== which) {
    const message = `fingerprint: the account gives the handoff to the device's ${settings.handsOver === 'idevid' ? 'IDevID' : 'LDevID'}`;
    return { kind: 'refuse', code: 'wrong-identity', message, ...known };
  }
  if (settings.comesBack === 'after-reset' && (state === 'enrolled' || state === 'active')) {
    const message = `state: the device is ${state} and asks again; reset it to let it in anew`;
    return { kind: 'wait', state, code: 'waits-for-operator', message, ...known };
  }
  return { kind: 'handoff', account, deviceId, settings };
}
