import type * as operations from '@signet/contracts';
import { AccountSettings, listProfiles, OperationError } from '@signet/contracts';
import { isDuplicate } from '@signet/store';
import type { AccountRecord, AccountRecords, AccountStates } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';

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

/** Asked inside each decision that a suspension forbids; a deleted account stays suspended for ever. */
export async function isSuspended(states: Pick<AccountStates, 'get'>, account: string): Promise<boolean> {
  return ((await states.get(account))?.state ?? 'active') !== 'active';
}

/** How an account onboards its devices: what it set, and the defaults of the rest. */
export async function getAccountSettings(
  { accounts }: Pick<Context, 'accounts'>,
  { account }: InputOf<typeof operations.getAccountSettings>,
) {
  return settingsView(await accounts.get(account));
}

/**
 * Sets some settings of an account; the others stay. `profile: null` goes back to the default.
 * @throws OperationError `unknown-profile`; `unavailable` where `est-ca` is
 */
export async function setAccountSettings(
  { accounts, bus, now }: Pick<Context, 'accounts' | 'bus' | 'now'>,
  { account, settings, by }: InputOf<typeof operations.setAccountSettings>,
) {
  const changed = (before: AccountRecord['settings']): AccountRecord => {
    const { profile, ...rest } = { ...before, ...settings };
    return {
      id: account,
      settings: { ...rest, ...(profile === undefined || profile === null ? {} : { profile }) },
      changedBy: by,
      changedAt: new Date(now()).toISOString(),
    };
  };
  const { profile } = settings;
  if (profile !== undefined && profile !== null) await requireProfile({ bus }, account, profile);
  try {
    const first = changed({});
    await accounts.insert(first);
    return settingsView(first);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    return settingsView(
      await accounts.update(account, (current) => ({ document: changed(current.settings) })),
    );
  }
}

async function requireProfile(
  { bus }: Pick<Context, 'bus'>,
  account: string,
  profile: string,
): Promise<void> {
  const { items } = await bus.request(listProfiles, { account });
  if (items.some(({ name }) => name === profile)) return;
  const message = `profile: account "${account}" has no profile "${profile}"`;
  throw new OperationError('unknown-profile', message, { field: 'profile' });
}

function settingsView(record: AccountRecord | undefined) {
  if (record === undefined) return withDefaults({});
  const { settings, changedBy, changedAt } = record;
  return { ...withDefaults(settings), changedBy, changedAt };
}
