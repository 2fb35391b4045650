/** What is known of accounts that were ever suspended; of others nothing is, and they are active. */
export type AccountStates = {
  get(account: string): Promise<{ readonly state: 'active' | 'suspended' } | undefined>;
};

/** Asked inside each decision that a suspension forbids. */
export async function isSuspended(states: AccountStates, account: string): Promise<boolean> {
  return (await states.get(account))?.state === 'suspended';
}
