import { Account, PLATFORM_ACCOUNT, ProfileName } from '@signet/contracts';
import { estOperations } from '../est-operation.ts';

/** An EST path label, taken apart. */
export type Label = { readonly id: string; readonly account: string; readonly profile: string };

/**
 * The parts of `<account>` or `<account>.<profile>`, or undefined where it is none. The name of an operation
 * is no label (RFC 7030 §3.2.2), nor is the platform's own account.
 */
export function parseLabel(text: string): Label | undefined {
  const [account = '', profile, ...rest] = text.split('.');
  if (rest.length > 0 || !Account.safeParse(account).success) return undefined;
  if (account === PLATFORM_ACCOUNT || estOperations.has(account)) return undefined;
  if (profile === undefined) return { id: account, account, profile: 'default' };
  if (!ProfileName.safeParse(profile).success) return undefined;
  return { id: labelOf(account, profile), account, profile };
}

/** The label of a profile: the account alone for its default one. */
export function labelOf(account: string, profile: string | undefined): string {
  return profile === undefined || profile === 'default' ? account : `${account}.${profile}`;
}
