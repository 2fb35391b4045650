import type { SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import type { DeviceRecord, Devices } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { byDeviceId } from '../device/find-device.ts';
import { placeOf } from '../device/reset.ts';
import { claim, deviceEvent, deviceFacts, iso } from '../device/transitions.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { LOST_ANSWER_MS, supersede, wasSeen } from '../registration/certify-registered.ts';

/** A contact with broker or gateway, as its event tells of it. */
export type SeenContact = {
  readonly account: string;
  readonly deviceId: string;
  /** Absent where the device came without a certificate. */
  readonly publicKeyHash: string | undefined;
  /** RFC 3339 */
  readonly at: string;
};

/**
 * A device that a token registered was seen: the first time since its registration is an event. A contact may be told
 * late, or twice. One with the key of the registration came after it, whatever the clocks say.
 */
export function firstSeenChange(
  record: DeviceRecord,
  contact: SeenContact,
): Change<DeviceRecord> | undefined {
  const { tokenRegistration, account, deviceId, id: fingerprint, authorityId } = record;
  if (tokenRegistration === undefined || tokenRegistration.seenAt !== undefined) return undefined;
  if (account !== contact.account || deviceId !== contact.deviceId) return undefined;
  const { publicKeyHash, at } = contact;
  if (publicKeyHash !== tokenRegistration.publicKeyHash && at < tokenRegistration.at) return undefined;
  const data = { deviceId, fingerprint, authorityId };
  return {
    document: { ...record, tokenRegistration: { ...tokenRegistration, seenAt: at } },
    events: [deviceEvent('DEVICE_FIRST_SEEN', record, data, Date.parse(at))],
  };
}

type DeviceName = { readonly account: string; readonly deviceId: string };

/** A key that asks for the place of a device that a token registered before. */
type RegistrationKey = {
  readonly account: string;
  readonly publicKeyHash: string;
  readonly group: string | undefined;
  /** Name of the token. */
  readonly by: string;
  /** What the device reports about itself. */
  readonly said: Pick<DeviceRecord, 'name' | 'production'>;
};

/** The device that the account has under this id; else the one that was made under it here and is given up. */
export async function registeredBefore(
  devices: Pick<Devices, 'find'>,
  { account, deviceId }: DeviceName,
): Promise<DeviceRecord | undefined> {
  const own = await byDeviceId(devices, account, deviceId);
  if (own !== undefined) return own;
  const made = await devices.find({
    index: 'bySerialNumber',
    equals: { factoryAccount: account, deviceSerialNumber: deviceId },
    limit: 1,
  });
  return made.items.find((record) => record.account === undefined && record.deviceId === deviceId);
}

/**
 * Registers a device that is on record again. The same key may come as long as the device has not used its
 * certificate. Another key may come by the same token within ten minutes of a registration whose certificate was never
 * seen, as its answer may be lost; and by any at any time after an operator reset, gave up or revoked the device. What it
 * had is revoked first, and a revoked device does not come in again with a key that it had.
 * Devices that no token registered keep their place.
 * @throws RegistrationError `device-id-taken`, `blocked`
 */
export async function registerAgain(
  ctx: Pick<Context, 'devices' | 'bus' | 'now'>,
  known: DeviceRecord,
  again: RegistrationKey,
): Promise<DeviceRecord> {
  const { account } = again;
  const { deviceId } = known;
  if (isSameKey(known, again)) return revokeEarlier(ctx, known);
  const before = known.tokenRegistration;
  const isSeen =
    before !== undefined &&
    known.account === account &&
    (await wasSeen(ctx.bus, { ...before, account, deviceId }));
  const now = ctx.now();
  if (known.state === 'retired') {
    // Checked first, then revoked: it may return only once none of its certificates is valid.
    newKeyChange(known, again, { isSeen, now });
    await supersede(ctx.bus, { account, deviceId });
  }
  const record = await ctx.devices.update(known.id, (current) => {
    if (isSameKey(current, again)) return undefined;
    // Whether it was seen was asked about its earlier key, so that must still be its key.
    if (current.tokenRegistration?.publicKeyHash !== before?.publicKeyHash)
      throw uuidTaken(deviceId, current.state);
    return newKeyChange(current, again, { isSeen, now });
  });
  return revokeEarlier(ctx, record);
}

/** The record, once what the device had before is revoked: with another key in force there is no certificate for this one. */
async function revokeEarlier(
  { devices, bus }: Pick<Context, 'devices' | 'bus'>,
  record: DeviceRecord,
): Promise<DeviceRecord> {
  const { account, deviceId, tokenRegistration: wanted } = record;
  if (account === undefined || wanted?.clearing !== true) return record;
  await supersede(bus, { account, deviceId });
  return devices.update(record.id, (current) => {
    const { clearing, ...registration } = current.tokenRegistration ?? wanted;
    if (clearing === undefined || registration.publicKeyHash !== wanted.publicKeyHash) return undefined;
    return { document: { ...current, tokenRegistration: registration } };
  });
}

/** Whether the very key asks that the device was registered with, and the device was not seen with it. */
function isSameKey(record: DeviceRecord, { account, publicKeyHash }: RegistrationKey): boolean {
  const { publicKeyHash: key } = record.tokenRegistration ?? record;
  return key === publicKeyHash && record.account === account && isUnused(record);
}

function isUnused({ state }: DeviceRecord): boolean {
  return state === 'claimed' || state === 'enrolled';
}

function newKeyChange(
  record: DeviceRecord,
  again: RegistrationKey,
  { isSeen, now }: { readonly isSeen: boolean; readonly now: number },
): Change<DeviceRecord> {
  const { account, publicKeyHash, group, by, said } = again;
  const { state, deviceId, tokenRegistration } = record;
  const isOthers = record.account !== undefined && record.account !== account;
  if (tokenRegistration === undefined || isOthers) throw uuidTaken(deviceId, state);
  if (state === 'blocked')
    throw new RegistrationError('blocked', `device: "${deviceId}" is blocked: ${record.reason}`);
  // A revoked device cannot return with a key that it had, whoever asks.
  const had = [tokenRegistration.publicKeyHash, record.publicKeyHash];
  if (state === 'retired' && had.includes(publicKeyHash)) throw uuidTaken(deviceId, state);
  const at = iso(now);
  const marked: DeviceRecord = {
    ...record,
    ...said,
    tokenRegistration: { publicKeyHash, at, by, clearing: true },
  };
  if (record.account === undefined) return claim(marked, { account, group, by, now }) ?? { document: marked };
  if (state === 'retired') return readmitChange(marked, { by, now });
  if (!isUnused(record)) throw uuidTaken(deviceId, state);
  const { resetAt = '' } = placeOf(record);
  const isReset = state === 'claimed' && resetAt > tokenRegistration.at;
  const age = now - Date.parse(tokenRegistration.at);
  const isLost = !isSeen && tokenRegistration.by === by && age <= LOST_ANSWER_MS;
  if (!isReset && !isLost) throw uuidTaken(deviceId, state);
  // A contact recorded before this write keeps the old key; a later one is too late.
  return { document: { ...marked, rekeyedAt: at } };
}

/** A registrar readmits a revoked device: the denial of its name is lifted. */
function readmitChange(record: DeviceRecord, { by, now }: { readonly by: string; readonly now: number }) {
  const { reason: _reason, bootstrappedAt: _bootstrapped, ...rest } = record;
  const at = iso(now);
  const document: DeviceRecord = { ...rest, state: 'claimed', claimedAt: at, onboardingSince: at };
  const { account, group } = document;
  return {
    document,
    events: [
      deviceEvent(
        'DEVICE_UNBLOCKED',
        document,
        { ...deviceFacts(document), by, ...(account === undefined ? {} : { account }) },
        now,
      ),
      deviceEvent(
        'DEVICE_CLAIMED',
        document,
        { ...deviceFacts(document), ...(group === undefined ? {} : { group }), by },
        now,
      ),
    ],
  };
}

export function uuidTaken(deviceId: string, state: string): RegistrationError {
  const message = `uuid: the device "${deviceId}" exists, it is ${state}`;
  return new RegistrationError('device-id-taken', message, { field: 'uuid' });
}

/** Records the first contact of a device that a token registered, as an event tells of it. */
export async function recordFirstSeen(
  { devices }: Pick<Context, 'devices'>,
  { account, subject, time: at, data }: SignetEvent,
): Promise<void> {
  const publicKeyHash = 'publicKeyHash' in data ? data.publicKeyHash : undefined;
  const contact = { account, deviceId: subject, publicKeyHash, at };
  const record = await byDeviceId(devices, account, subject);
  if (record === undefined || firstSeenChange(record, contact) === undefined) return;
  await devices.update(record.id, (current) => firstSeenChange(current, contact));
}
