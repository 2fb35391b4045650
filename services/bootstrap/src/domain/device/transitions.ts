import {
  type DeviceState,
  type EventData,
  type EventType,
  newEvent,
  type SignetEvent,
} from '@signet/contracts';
import type { Change } from '@signet/store';
import type { DeviceRecord } from '../../collections.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { rulerOf, withoutSecond } from './find-device.ts';

/** What most events of a device carry. */
export function deviceFacts(record: DeviceRecord) {
  return {
    deviceId: record.deviceId,
    fingerprint: record.id,
    deviceSerialNumber: record.deviceSerialNumber,
    ...optional('model', record.model),
  };
}

/** An event of a device, in the account of its owner or its maker. */
export function deviceEvent<T extends EventType>(
  type: T,
  record: DeviceRecord,
  data: EventData<T>,
  now: number,
): SignetEvent {
  const account = rulerOf(record);
  return newEvent(type, { account, subject: record.deviceId, data, time: now }) as SignetEvent;
}

/** A transition that a command asks for and that there is not: names both states. */
export function illegalTransition(record: DeviceRecord, to: DeviceState): BootstrapError {
  return new BootstrapError(
    'illegal-transition',
    `state: a device cannot go from "${record.state}" to "${to}"`,
    { field: 'state' },
  );
}

export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}

export function iso(now: number): string {
  return new Date(now).toISOString();
}

type Step = Change<DeviceRecord> | undefined;

/** The line of design §6; `pending`, `blocked` and `retired` stand aside of it. */
const LINE: readonly DeviceState[] = ['manufactured', 'claimed', 'bootstrapped', 'enrolled', 'active'];

/**
 * A claim puts a manufactured device into an account. Repeating one's own claim changes nothing, unless it asks for
 * another device id than the one that the device has by now.
 * @throws BootstrapError `claimed-by-another` (not saying whose), `blocked`, `illegal-transition`
 */
export function claim(
  record: DeviceRecord,
  facts: {
    account: string;
    deviceId?: string | undefined;
    group?: string | undefined;
    by: string;
    now: number;
  },
): Step {
  const deviceId = facts.deviceId ?? record.deviceId;
  if (record.account !== undefined && record.account !== facts.account) {
    throw new BootstrapError('claimed-by-another', 'fingerprint: this device belongs to another account', {
      field: 'fingerprint',
    });
  }
  if (record.state === 'blocked') {
    throw new BootstrapError(
      'blocked',
      `fingerprint: the device is blocked: ${record.reason ?? 'no reason given'}`,
      { field: 'fingerprint' },
    );
  }
  const isOwn = record.account === facts.account && record.state !== 'retired';
  if (isOwn && deviceId === record.deviceId) return undefined;
  if (record.state !== 'manufactured') throw illegalTransition(record, 'claimed');
  const claimed: DeviceRecord = {
    ...(record.secondSetBy === facts.account ? record : withoutSecond(record)),
    deviceId,
    account: facts.account,
    state: 'claimed',
    claimedAt: iso(facts.now),
    onboardingSince: iso(facts.now),
    ...(facts.group === undefined ? {} : { group: facts.group, groupState: 'pending' as const }),
  };
  return {
    document: claimed,
    events: [
      deviceEvent(
        'DEVICE_CLAIMED',
        claimed,
        { ...deviceFacts(claimed), ...optional('group', facts.group), by: facts.by },
        facts.now,
      ),
    ],
  };
}

/** The handoff of a device. Only the first of an onboarding is an event. */
export function handOff(record: DeviceRecord, facts: { instance: string; now: number }): Step {
  if (record.state !== 'claimed') return undefined;
  const bootstrapped: DeviceRecord = { ...record, state: 'bootstrapped', bootstrappedAt: iso(facts.now) };
  return {
    document: bootstrapped,
    events: [
      deviceEvent(
        'DEVICE_BOOTSTRAPPED',
        bootstrapped,
        {
          ...deviceFacts(bootstrapped),
          instance: facts.instance,
          ...optional('onboarding', onboardingOf(record)),
        },
        facts.now,
      ),
    ],
  };
}

/**
 * What events tell of a device moves it forward on the line, never back, and never out of `blocked` or `retired`: they
 * may come late, twice, or in another order than things happened. One that nobody owns cannot have enrolled.
 */
export function advance(record: DeviceRecord, to: 'enrolled' | 'active'): Step {
  if (record.account === undefined) return undefined;
  const isForward = LINE.includes(record.state) && LINE.indexOf(to) > LINE.indexOf(record.state);
  if (isForward) return { document: { ...record, state: to } };
  const isHeldBack =
    record.state === 'blocked' && LINE.indexOf(to) > LINE.indexOf(record.blockedFrom ?? 'manufactured');
  return isHeldBack ? { document: { ...record, blockedFrom: to } } : undefined;
}

/**
 * A device may be blocked by several things at once (CRLs that list it, its factory CA): the first is its reason, and it
 * stays blocked until the last is gone. An operator's block takes over from all of them: it stays when they go.
 * @throws BootstrapError `illegal-transition` for a retired device
 */
export function block(
  record: DeviceRecord,
  facts: { reason: string; by: string; now: number; cause?: string },
): Step {
  if (record.state === 'retired') throw illegalTransition(record, 'blocked');
  const { blockCauses = [], ...rest } = record;
  const { cause, reason } = facts;
  const isBlocked = record.state === 'blocked';
  if (isBlocked && blockCauses.length === 0) return undefined;
  if (cause !== undefined && blockCauses.some((known) => known.cause === cause)) return undefined;
  const causes = cause === undefined ? [] : [...blockCauses, { cause, reason }];
  if (isBlocked && cause !== undefined) return { document: { ...record, blockCauses: causes } };
  const blocked: DeviceRecord = {
    ...rest,
    state: 'blocked',
    blockedFrom: isBlocked ? (record.blockedFrom ?? 'manufactured') : record.state,
    reason,
    ...optional('blockCauses', causes.length === 0 ? undefined : causes),
  };
  const data = { ...deviceFacts(blocked), reason, by: facts.by, ...optional('account', blocked.account) };
  return { document: blocked, events: [deviceEvent('DEVICE_BLOCKED', blocked, data, facts.now)] };
}

/** One of the things that block a device is gone. It is unblocked if that was the last. */
export function withdrawBlock(
  record: DeviceRecord,
  { cause, ...facts }: { cause: string; by: string; now: number },
): Step {
  const { blockCauses = [] } = record;
  const left = blockCauses.filter((known) => known.cause !== cause);
  if (record.state !== 'blocked' || left.length === blockCauses.length) return undefined;
  const [next] = left;
  if (next === undefined) return unblock(record, facts);
  return { document: { ...record, reason: next.reason, blockCauses: left } };
}

/** @throws BootstrapError `illegal-transition` for a device that is not blocked */
export function unblock(record: DeviceRecord, facts: { by: string; now: number }): Step {
  if (record.state !== 'blocked') {
    const message = `state: only a device that is "blocked" can be unblocked, this one is "${record.state}"`;
    throw new BootstrapError('illegal-transition', message, { field: 'state' });
  }
  const { blockedFrom = 'manufactured', reason: _reason, blockCauses: _causes, ...rest } = record;
  const unblocked: DeviceRecord = { ...rest, state: blockedFrom };
  const data = { ...deviceFacts(unblocked), by: facts.by, ...optional('account', unblocked.account) };
  return { document: unblocked, events: [deviceEvent('DEVICE_UNBLOCKED', unblocked, data, facts.now)] };
}

/** Final: the device is refused everywhere from now on. Repeating it changes nothing. */
export function retire(record: DeviceRecord, facts: { reason: string; by: string; now: number }): Step {
  if (record.state === 'retired') return undefined;
  const { blockedFrom: _blockedFrom, blockCauses: _causes, ...rest } = record;
  const retired: DeviceRecord = { ...rest, state: 'retired', reason: facts.reason };
  const data = {
    ...deviceFacts(retired),
    reason: facts.reason,
    by: facts.by,
    ...optional('account', retired.account),
  };
  return { document: retired, events: [deviceEvent('DEVICE_RETIRED', retired, data, facts.now)] };
}

/** The event of a device that was just made. */
export function manufacturedEvent(record: DeviceRecord, now: number): SignetEvent {
  const data = {
    ...deviceFacts(record),
    factoryCa: record.authorityId,
    certificateSerial: record.certificateSerial,
  };
  return deviceEvent('DEVICE_MANUFACTURED', record, data, now);
}

/** The same for every handoff of one onboarding, so that receivers can deduplicate. */
function onboardingOf({ id, onboardingSince }: DeviceRecord): string | undefined {
  return onboardingSince === undefined ? undefined : `${id.slice(0, 32)}-${Date.parse(onboardingSince)}`;
}
