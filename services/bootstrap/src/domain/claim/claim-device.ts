import type * as operations from '@signet/contracts';
import { type ClaimItem, type ClaimOutcome, type ClaimResult, PLATFORM_ACCOUNT } from '@signet/contracts';
import { isDuplicate } from '@signet/store';
import type {
  AccountStates,
  BlockRules,
  DeviceRecord,
  Devices,
  VoidedAuthorities,
} from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { isSuspended } from '../account/account-settings.ts';
import { byClaim, byDeviceId, rulersOf } from '../device/find-device.ts';
import { claim } from '../device/transitions.ts';
import { readPage } from '../documents/documents.ts';
import { type FactoryPins, voidingPin } from '../factory/factory-pins.ts';
import { BootstrapError, type BootstrapErrorCode } from '../refusals/errors.ts';
import { blockingRule, readRulesOnce } from './block-rules.ts';

export type ClaimContext = {
  readonly devices: Pick<Devices, 'get' | 'find' | 'update'>;
  readonly rules: Pick<BlockRules, 'get' | 'find'>;
  readonly voided: Pick<VoidedAuthorities, 'get'>;
  readonly factories: FactoryPins;
  readonly accountStates: Pick<AccountStates, 'get'>;
  readonly now: () => number;
};

type Claim = ClaimItem & { readonly account: string; readonly by: string };

type Claimed = { readonly record: DeviceRecord; readonly isNew: boolean };

/**
 * Puts a device into an account, by fingerprint or claim code. Of two accounts that claim at once one wins.
 * @throws BootstrapError `account-suspended`, `unknown-device`, `claimed-by-another`, `blocked`, `illegal-transition`, `device-id-taken`,
 * `bad-claim-code`, `ambiguous-code`
 */
export function claimDevice(ctx: ClaimContext, wanted: Claim): Promise<Claimed> {
  return claimIf(ctx, wanted, () => true);
}

/** Claims a device that nobody has claimed yet, and no other: an owner that gave one up did so on purpose. @throws as {@link claimDevice} */
export function claimUnclaimed(ctx: ClaimContext, wanted: Claim): Promise<Claimed> {
  return claimIf(ctx, wanted, isNeverClaimed);
}

async function claimIf(
  ctx: ClaimContext,
  wanted: Claim,
  isMeant: (record: DeviceRecord) => boolean,
): Promise<Claimed> {
  if (await isSuspended(ctx.accountStates, wanted.account))
    throw new BootstrapError('account-suspended', `account: "${wanted.account}" is suspended`, {
      field: 'account',
    });
  const found = await byClaim(ctx.devices, wanted);
  const { account, deviceId, group, by } = wanted;
  await requireNotBlocked(ctx, found, account);
  let isNew = false;
  try {
    const record = await ctx.devices.update(found.id, (current) => {
      if (!isMeant(current)) return undefined;
      const step = claim(current, { account, deviceId, group, by, now: ctx.now() });
      isNew = step !== undefined;
      return step;
    });
    return { record, isNew };
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const which = deviceId === undefined ? 'its device id' : `"${deviceId}"`;
    throw new BootstrapError(
      'device-id-taken',
      `deviceId: ${which} is taken in this account; claim it under another`,
      { field: 'deviceId' },
    );
  }
}

/** Whether the device waits for the first claim of its life. */
export function isNeverClaimed({ state, onboardingSince }: DeviceRecord): boolean {
  return state === 'manufactured' && onboardingSince === undefined;
}

/** By rules of its owner, the platform and the claiming account, and by its factory CA. Skipped for another's device, so that nothing leaks. */
async function requireNotBlocked(ctx: ClaimContext, record: DeviceRecord, account: string): Promise<void> {
  if (record.account !== undefined && record.account !== account) return;
  const rulers = [...new Set([...rulersOf(record), account, PLATFORM_ACCOUNT])];
  const pins = ctx.factories.siblings(record.authorityId);
  const ids = pins.map(({ authorityId }) => authorityId);
  const own = pins.find((pin) => pin.account === account);
  const others = pins.length > 1 ? voidingPin(record, pins)?.authorityId : record.authorityId;
  const id = own?.authorityId ?? others;
  const [rule, authority] = await Promise.all([
    blockingRule(ctx.rules, record, { rulers, ids }),
    id === undefined ? undefined : ctx.voided.get(id),
  ]);
  const reason = rule?.reason ?? (authority?.state === 'active' ? undefined : authority?.reason);
  if (reason !== undefined)
    throw new BootstrapError('blocked', `fingerprint: the device is blocked: ${reason}`, {
      field: 'fingerprint',
    });
}

const outcomeOf: Partial<Record<BootstrapErrorCode, ClaimOutcome>> = {
  'unknown-device': 'unknown',
  'bad-claim-code': 'unknown',
  'claimed-by-another': 'anothers',
  blocked: 'blocked',
  'illegal-transition': 'retired',
  'device-id-taken': 'device-id-taken',
  'ambiguous-code': 'ambiguous-code',
};

/**
 * Claims many, each by itself; results in the order of the items. An item that names the device of an earlier one
 * waits for that one. Rules and voided factory CAs are those of the beginning; a handoff asks for them again.
 */
export async function claimDevices(
  { rules, voided, ...rest }: ClaimContext,
  { account, by, items }: { account: string; by: string; items: readonly ClaimItem[] },
): Promise<ClaimResult[]> {
  const authorities = new Map<string, ReturnType<VoidedAuthorities['get']>>();
  const authority = (id: string) => {
    const read = authorities.get(id) ?? voided.get(id);
    authorities.set(id, read);
    return read;
  };
  const ctx = { ...rest, rules: readRulesOnce(rules), voided: { get: authority } };
  const before = new Map<string, Promise<unknown>>();
  return Promise.all(
    items.map((item) => {
      const name = item.fingerprint ?? item.code ?? '';
      const turn = before.get(name) ?? Promise.resolve();
      const result = turn.then(() => resultOf(ctx, { ...item, account, by }));
      before.set(
        name,
        result.catch(() => {}),
      );
      return result;
    }),
  );
}

async function resultOf(ctx: ClaimContext, wanted: Claim): Promise<ClaimResult> {
  try {
    const { record, isNew } = await claimDevice(ctx, wanted);
    const { id: fingerprint, deviceId } = record;
    if (isNew) return { outcome: 'claimed', fingerprint, deviceId };
    const { group } = wanted;
    const isSame = group === undefined || group === record.group;
    const message = `group: the device was claimed before and is not moved; put it into "${group}" by \`signet groups add\``;
    return { outcome: 'already-yours', fingerprint, deviceId, ...(isSame ? {} : { message }) };
  } catch (error) {
    const outcome = error instanceof BootstrapError ? outcomeOf[error.code] : undefined;
    if (outcome === undefined || !(error instanceof BootstrapError)) throw error;
    const own = outcome === 'retired' ? await ownUnderAnotherId(ctx, wanted) : undefined;
    if (own !== undefined) return own;
    const { fingerprint } = wanted;
    return { outcome, message: error.message, ...(fingerprint === undefined ? {} : { fingerprint }) };
  }
}

/** The account's own device that was claimed under another id than it is claimed by now. */
async function ownUnderAnotherId(ctx: ClaimContext, wanted: Claim): Promise<ClaimResult | undefined> {
  const { id: fingerprint, account, deviceId, state } = await byClaim(ctx.devices, wanted);
  if (account !== wanted.account || state === 'retired') return undefined;
  const message = `deviceId: it is "${deviceId}" in this account, and stays so until it is given up`;
  return { outcome: 'already-yours', fingerprint, deviceId, message };
}

/** The groups that claims name and that `provisioning`, which owns groups, has not read yet. */
export async function listClaimedInto(
  { devices }: Pick<Context, 'devices'>,
  { account, group, ...page }: InputOf<typeof operations.listClaimedInto>,
) {
  const equals = { account, groupState: 'pending', ...(group === undefined ? {} : { group }) } as const;
  const { items, next } = await readPage(devices, { index: 'byGroupState', equals }, page);
  const claims = items.flatMap(({ deviceId, group: name, claimedAt, state }) => {
    if (name === undefined || claimedAt === undefined || state === 'retired') return [];
    return [{ deviceId, group: name, claimedAt }];
  });
  return { items: claims, ...(next === undefined ? {} : { next }) };
}

/** The groups of these claims were read. @returns the devices that are not claimed like that any more */
export async function settleClaimed(
  { devices }: Pick<Context, 'devices'>,
  { account, claims }: InputOf<typeof operations.settleClaimed>,
): Promise<{ gone: string[] }> {
  const isThere = await Promise.all(claims.map((claim) => settleClaim({ devices }, account, claim)));
  return { gone: claims.flatMap(({ deviceId }, i) => (isThere[i] === true ? [] : [deviceId])) };
}

/** @returns whether the device is still claimed like that */
async function settleClaim(
  { devices }: Pick<Context, 'devices'>,
  account: string,
  claim: { readonly deviceId: string; readonly claimedAt: string },
): Promise<boolean> {
  const record = await byDeviceId(devices, account, claim.deviceId);
  if (record === undefined) return false;
  const isThat = (current: DeviceRecord) =>
    current.account === account && current.claimedAt === claim.claimedAt && current.state !== 'retired';
  const after = await devices.update(record.id, (current) =>
    isThat(current) && current.groupState === 'pending'
      ? { document: { ...current, groupState: 'settled' } }
      : undefined,
  );
  return isThat(after);
}
