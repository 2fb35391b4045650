import type { DeviceState } from '@signet/contracts';
import type { Change } from '@signet/store';
import type { DeviceRecord } from '../../collections.ts';
import { withoutSecond } from './find-device.ts';
import { factoryDeviceId } from './show-devices.ts';
import { deviceEvent, deviceFacts, illegalTransition, iso } from './transitions.ts';

type Facts = { readonly by: string; readonly now: number };

/**
 * Back to where a claim left it: its certificates are revoked, and its next handoff is a new onboarding. What never
 * changes of it stays (F56). Repeating it changes nothing.
 * @throws BootstrapError `illegal-transition` for a device that is blocked, retired or waits for approval
 */
export function reset(record: DeviceRecord, facts: Facts): Change<DeviceRecord> | undefined {
  const to = record.account === undefined ? 'manufactured' : 'claimed';
  if (record.state === to) return undefined;
  const { bootstrappedAt: _bootstrappedAt, ...rest } = requireLeavable(record, to);
  return {
    document: { ...rest, state: to, onboardingSince: iso(facts.now) },
    events: [resetEvent(record, to, facts)],
  };
}

/**
 * Leaves its account as it left the factory, for the next claim (F67): nothing that the account set remains, nor its
 * second identity. Its certificates in the account that it leaves are revoked.
 * @throws BootstrapError `illegal-transition` as {@link reset}
 */
export function unclaim(record: DeviceRecord, facts: Facts): Change<DeviceRecord> | undefined {
  if (record.account === undefined) return undefined;
  const {
    account: _account,
    group: _group,
    groupState: _groupState,
    claimedAt: _claimedAt,
    bootstrappedAt: _bootstrappedAt,
    seenCertificate: _seenCertificate,
    ...rest
  } = withoutSecond(requireLeavable(record, 'manufactured'));
  return {
    document: { ...rest, deviceId: factoryDeviceId(record), state: 'manufactured' },
    events: [resetEvent(record, 'manufactured', facts)],
  };
}

/**
 * By what a device takes its place in its account: its first bootstrap certificate, and, where an operator reset it since
 * its claim, the time of that.
 */
export function placeOf(record: DeviceRecord | undefined): { identity?: string; resetAt?: string } {
  if (record === undefined) return {};
  const { id: identity, claimedAt, onboardingSince } = record;
  const isReset = claimedAt !== undefined && onboardingSince !== undefined && onboardingSince > claimedAt;
  return { identity, ...(isReset ? { resetAt: onboardingSince } : {}) };
}

function requireLeavable(record: DeviceRecord, to: DeviceState): DeviceRecord {
  if (['blocked', 'retired', 'pending'].includes(record.state)) throw illegalTransition(record, to);
  return record;
}

/** Reported under the name and account that the device had. */
function resetEvent(record: DeviceRecord, to: DeviceState, { by, now }: Facts) {
  return deviceEvent('DEVICE_RESET', record, { ...deviceFacts(record), from: record.state, to, by }, now);
}
