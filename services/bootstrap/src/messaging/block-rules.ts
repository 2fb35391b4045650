import type { Bus, Subscription } from '@signet/bus';
import {
  addBlockRule,
  type BlockRule,
  listBlockRules,
  OperationError,
  removeBlockRule,
} from '@signet/contracts';
import { StoreError } from '@signet/store';
import type { BlockRuleRecord, BlockRules } from '../collections.ts';
import { MAX_RULES, ruleId } from '../domain/claim/block-rules.ts';
import type { Pins } from '../domain/device/second-identity.ts';
import { BootstrapError } from '../domain/errors.ts';
import type { FactoryPins } from '../domain/factory/factory-pins.ts';
import { asOperationError } from './operation-errors.ts';

type Deps = {
  readonly bus: Bus;
  readonly rules: BlockRules;
  readonly factories: FactoryPins;
  readonly pins: Pick<Pins, 'refresh'>;
  readonly now: () => number;
};

/** Rules that block devices before they are onboarded (F61). */
export async function serveBlockRules(deps: Deps): Promise<Subscription[]> {
  const { bus, rules, now } = deps;
  return [
    await bus.serve(addBlockRule, async ({ account, target, reason, by }) => {
      if (target.kind === 'factory-ca') await requireAuthority(deps, target.authorityId);
      const scope = target.kind === 'fingerprint' ? 'one' : 'many';
      const id = ruleId(account, target);
      const record: BlockRuleRecord = {
        ...{ id, account, scope, target, reason, by },
        since: new Date(now()).toISOString(),
      };
      if (scope === 'many') await requireRoom(rules, account);
      await rules.insert(record).catch((error: unknown) => {
        if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
        return rules.update(id, () => ({ document: record }));
      });
      return viewOf(record);
    }),
    await bus.serve(listBlockRules, async ({ account, cursor, limit }) => {
      const page = await rules.find({
        index: 'byAccount',
        equals: { account },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return { items: page.items.map(viewOf), ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(removeBlockRule, async ({ account, ruleId: id }) => {
      if (await rules.remove(id, (rule) => rule.account === account)) return {};
      const message = `ruleId: account "${account}" has no such rule`;
      throw asOperationError(new BootstrapError('unknown-rule', message, 'ruleId'));
    }),
  ];
}

/** @throws OperationError `unknown-authority` */
async function requireAuthority({ factories, pins }: Deps, authorityId: string): Promise<void> {
  const isKnown = () => factories.siblings(authorityId).length > 0;
  if (!isKnown()) await pins.refresh();
  if (isKnown()) return;
  const message = `target.authorityId: no factory CA "${authorityId}" is known`;
  throw new OperationError('unknown-authority', message, { field: 'target.authorityId' });
}

async function requireRoom(rules: BlockRules, account: string): Promise<void> {
  if ((await rules.count({ index: 'byScope', equals: { account, scope: 'many' } })) < MAX_RULES) return;
  const message = `target: account "${account}" has ${MAX_RULES} rules of serial numbers and CAs, and may not have more`;
  throw asOperationError(new BootstrapError('too-many-rules', message, 'target'));
}

function viewOf({ id, scope: _scope, ...rule }: BlockRuleRecord): BlockRule {
  return { ruleId: id, ...rule };
}
