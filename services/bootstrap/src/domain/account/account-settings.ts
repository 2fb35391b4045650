import { Account, AccountSettings, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** What an account has changed of its settings; the rest is {@link defaultSettings}. */
export const AccountRecord = z.object({
  id: Account,
  settings: AccountSettings.partial(),
  changedBy: z.string(),
  changedAt: Time,
});
export type AccountRecord = z.infer<typeof AccountRecord>;

export const accountRecords = {
  name: 'bootstrap.accounts',
  schema: AccountRecord,
  indexes: {},
} as const satisfies CollectionSpec<AccountRecord>;
export type AccountRecords = Collection<AccountRecord>;

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
