import type { Bus, Subscription } from '@signet/bus';
import { getAccountSettings, listProfiles, OperationError, setAccountSettings } from '@signet/contracts';
import { StoreError } from '@signet/store';
import type { AccountRecord, AccountRecords } from '../collections.ts';
import { withDefaults } from '../domain/account/account-settings.ts';

type Deps = { bus: Bus; accounts: AccountRecords; now: () => number };

/** How accounts onboard their devices. A profile that is named exists when it is set. */
export async function serveAccounts({ bus, accounts, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(getAccountSettings, async ({ account }) => viewOf(await accounts.get(account))),
    await bus.serve(setAccountSettings, async ({ account, settings, by }) => {
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
      if (profile !== undefined && profile !== null) await requireProfile(bus, account, profile);
      try {
        const first = changed({});
        await accounts.insert(first);
        return viewOf(first);
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
        return viewOf(await accounts.update(account, (current) => ({ document: changed(current.settings) })));
      }
    }),
  ];
}

/** @throws OperationError `unknown-profile`; `unavailable` where est-ca does not answer */
async function requireProfile(bus: Bus, account: string, profile: string): Promise<void> {
  const { items } = await bus.request(listProfiles, { account });
  if (items.some(({ name }) => name === profile)) return;
  const message = `profile: account "${account}" has no profile "${profile}"`;
  throw new OperationError('unknown-profile', message, { field: 'profile' });
}

function viewOf(record: AccountRecord | undefined) {
  if (record === undefined) return withDefaults({});
  const { settings, changedBy, changedAt } = record;
  return { ...withDefaults(settings), changedBy, changedAt };
}
