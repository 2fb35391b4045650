import type * as operations from '@signet/contracts';
import { type BlockRule, type BlockTarget, isSerialAmong, OperationError } from '@signet/contracts';
import type { BlockRuleRecord, BlockRules, DeviceRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { rulersOf, secondIdentityOf } from '../device/find-device.ts';
import { put, readPage, viewsOf } from '../documents/documents.ts';
import { BootstrapError } from '../refusals/errors.ts';

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

/**
 * Blocks devices before they are onboarded (F61): one by its fingerprint, or many by serial numbers or factory CA. The
 * same target again replaces the rule.
 * @throws OperationError `unknown-authority`; BootstrapError `too-many-rules`
 */
export async function addBlockRule(
  ctx: Pick<Context, 'rules' | 'factories' | 'trust' | 'now'>,
  { account, target, reason, by }: InputOf<typeof operations.addBlockRule>,
): Promise<BlockRule> {
  if (target.kind === 'factory-ca') await requireFactoryCa(ctx, target.authorityId);
  const scope = target.kind === 'fingerprint' ? 'one' : 'many';
  const record: BlockRuleRecord = {
    ...{ id: ruleId(account, target), account, scope, target, reason, by },
    since: new Date(ctx.now()).toISOString(),
  };
  if (scope === 'many') await requireQuota(ctx, account);
  await put(ctx.rules, record);
  return ruleView(record);
}

export async function listBlockRules(
  { rules }: Pick<Context, 'rules'>,
  { account, ...page }: InputOf<typeof operations.listBlockRules>,
) {
  return viewsOf(await readPage(rules, { index: 'byAccount', equals: { account } }, page), ruleView);
}

/** @throws BootstrapError `unknown-rule` */
export async function removeBlockRule(
  { rules }: Pick<Context, 'rules'>,
  { account, ruleId: id }: InputOf<typeof operations.removeBlockRule>,
): Promise<Record<string, never>> {
  if (await rules.remove(id, (rule) => rule.account === account)) return {};
  throw new BootstrapError('unknown-rule', `ruleId: account "${account}" has no such rule`, {
    field: 'ruleId',
  });
}

async function requireFactoryCa(
  { factories, trust }: Pick<Context, 'factories' | 'trust'>,
  authorityId: string,
): Promise<void> {
  const isKnown = () => factories.siblings(authorityId).length > 0;
  if (!isKnown()) await trust.refresh();
  if (isKnown()) return;
  const message = `target.authorityId: no factory CA "${authorityId}" is known`;
  throw new OperationError('unknown-authority', message, { field: 'target.authorityId' });
}

async function requireQuota({ rules }: Pick<Context, 'rules'>, account: string): Promise<void> {
  if ((await rules.count({ index: 'byScope', equals: { account, scope: 'many' } })) < MAX_RULES) return;
  const message = `target: account "${account}" has ${MAX_RULES} rules of serial numbers and CAs, and may not have more`;
  throw new BootstrapError('too-many-rules', message, { field: 'target' });
}

function ruleView({ id, scope: _scope, ...rule }: BlockRuleRecord): BlockRule {
  return { ruleId: id, ...rule };
}
