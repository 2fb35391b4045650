import { AccountSettings } from '@signet/contracts';
import type { AccountRecord, AccountRecords, AccountStates } from '../../collections.ts';

/** Of an account that never changed any. */
export const defaultSettings: AccountSettings = {
  handsOver: 'either',
  comesBack: 'unattended',
  mqttCredentials: false,
  commandCertificate: true,
  certificateInBundle: true,
  voidedFactoryCaDenies: true,
  config: {},
};

/** The settings that hold for an account. */
export async function settingsOf(
  accounts: Pick<AccountRecords, 'get'>,
  account: string,
): Promise<AccountSettings> {
  const record = await accounts.get(account);
  return record === undefined ? defaultSettings : withDefaults(record.settings);
}

/** Settings that were given, and the defaults of the others. */
export function withDefaults(given: AccountRecord['settings']): AccountSettings {
  return AccountSettings.parse({ ...defaultSettings, ...given });
}

/** Asked inside each decision that a suspension forbids. */
export async function isSuspended(states: Pick<AccountStates, 'get'>, account: string): Promise<boolean> {
  return (await states.get(account))?.state === 'suspended';
}
