import { type BlockTarget, isSerialAmong } from '@signet/contracts';
import type { BlockRuleRecord, BlockRules, DeviceRecord } from '../../collections.ts';
import { rulersOf, secondIdentityOf } from '../device/ownership.ts';

/** Rules of one account at most: each is looked at for each claim and handoff. */
export const MAX_RULES = 1000;

/** The rule's id: the same target blocked again is the same rule. */
export function ruleId(account: string, target: BlockTarget): string {
  switch (target.kind) {
    case 'fingerprint':
      return `${account}/${target.fingerprint}`;
    case 'factory-ca':
      return `${account}/ca/${target.authorityId}`;
    case 'serials':
      return `${account}/serial/${target.serials}`;
  }
}

/**
 * The rule by which a device is blocked, if there is one. `rulers`: the accounts whose rules hold for it. `ids`: of its
 * factory CA, which each account that has it pinned knows by one of its own.
 */
export async function blockingRule(
  rules: Pick<BlockRules, 'get' | 'find'>,
  record: DeviceRecord,
  { rulers = rulersOf(record), ids = [] }: { rulers?: readonly string[]; ids?: readonly string[] } = {},
): Promise<BlockRuleRecord | undefined> {
  const found = await Promise.all(rulers.map((account) => ruleOf(rules, record, { account, ids })));
  return found.find((rule) => rule !== undefined);
}

async function ruleOf(
  rules: Pick<BlockRules, 'get' | 'find'>,
  record: DeviceRecord,
  { account, ids }: { readonly account: string; readonly ids: readonly string[] },
): Promise<BlockRuleRecord | undefined> {
  const { items } = await rules.find({
    index: 'byScope',
    equals: { account, scope: 'many' },
    limit: MAX_RULES,
  });
  const many = items.find(({ target }) => matchesTarget(target, record, ids));
  if (many !== undefined) return many;
  for (const fingerprint of [record.id, secondIdentityOf(record)]) {
    const one = fingerprint === undefined ? undefined : await rules.get(`${account}/${fingerprint}`);
    if (one !== undefined) return one;
  }
  return undefined;
}

/**
 * The rules as they are now, for many devices that are looked at together: what holds for all of them is read once, and
 * rules of single devices only where the account has one.
 */
export function readRulesOnce(rules: Pick<BlockRules, 'get' | 'find'>): Pick<BlockRules, 'get' | 'find'> {
  const pages = new Map<string, ReturnType<BlockRules['find']>>();
  const find: BlockRules['find'] = (query) => {
    const name = JSON.stringify(query);
    const page = pages.get(name) ?? rules.find(query);
    pages.set(name, page);
    return page;
  };
  return {
    find,
    async get(id) {
      const account = id.slice(0, id.indexOf('/'));
      const { items } = await find({ index: 'byScope', equals: { account, scope: 'one' }, limit: 1 });
      return items.length === 0 ? undefined : rules.get(id);
    },
  };
}

/** Whether a target means this device. */
export function matchesTarget(
  target: BlockTarget,
  record: DeviceRecord,
  ids: readonly string[] = [],
): boolean {
  switch (target.kind) {
    case 'fingerprint':
      return target.fingerprint === record.id || target.fingerprint === secondIdentityOf(record);
    case 'factory-ca':
      return target.authorityId === record.authorityId || ids.includes(target.authorityId);
    case 'serials':
      return isSerialAmong(record.deviceSerialNumber, [target.serials]);
  }
}
