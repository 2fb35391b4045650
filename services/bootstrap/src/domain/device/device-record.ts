import {
  Account,
  type Device,
  DeviceId,
  DeviceState,
  Fingerprint,
  GroupName,
  groupNameOf,
  KeyId,
  type MadeDevice,
  Pem,
  PLATFORM_ACCOUNT,
  SerialNumber,
  Time,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { CollectionSpec, Stored } from '@signet/store';
import { z } from 'zod';
import { isVisible, secondIdentityOf } from './ownership.ts';

/** One of the things that block a device, and what is said of it. */
export const BlockCause = z.object({ cause: z.string(), reason: z.string() });
export type BlockCause = z.infer<typeof BlockCause>;

/**
 * A device as the bootstrap service keeps it; its id is the fingerprint of its bootstrap certificate.
 * `deviceSerialNumber`, `model` and all that stands in the certificate never change (F56).
 */
export const DeviceRecord = z.object({
  id: Fingerprint,
  deviceId: DeviceId,
  /** Whoever made it. Absent: nobody in particular, for several accounts have its CA pinned. */
  factoryAccount: Account.optional(),
  deviceSerialNumber: z.string().min(1).max(128),
  model: z.string().max(128).optional(),
  certificate: Pem,
  certificateSerial: SerialNumber,
  publicKeyHash: Fingerprint,
  authorityId: z.string(),
  /** UUIDv7 of the making: the order of the factory log. */
  made: z.uuidv7(),
  manufacturedAt: Time,
  state: DeviceState,
  /** The state to which an unblocked device returns. */
  blockedFrom: DeviceState.optional(),
  reason: z.string().optional(),
  /** What blocks it besides operators (a CRL that lists it, a factory CA that was voided); an operator's block has none. */
  blockCauses: z.array(BlockCause).min(1).optional(),
  /** Fingerprint of its LDevID, from another root than the first: either is this device (F15). */
  secondFingerprint: Fingerprint.optional(),
  /** Key id of that certificate's issuer, and its serial number. */
  secondIssuerKeyId: KeyId.optional(),
  secondSerial: SerialNumber.optional(),
  /** Who set the second identity, or had the device when the device proved it. Absent: it does not count. */
  secondSetBy: Account.optional(),
  account: Account.optional(),
  /** Group that its claim names. */
  group: GroupName.optional(),
  /** Whether `provisioning`, which keeps groups, has read that of the claim; absent in claims of 0.1.0. */
  groupState: z.enum(['pending', 'settled']).optional(),
  claimedAt: Time.optional(),
  bootstrappedAt: Time.optional(),
  /** When the onboarding that is under way, or was last, began: with its claim or its reset. */
  onboardingSince: Time.optional(),
  /** When another key took the place of a registered one with which the device was never seen. */
  rekeyedAt: Time.optional(),
  /** Serial number of the certificate that it last came with over Flotta's protocol. */
  seenCertificate: SerialNumber.optional(),
  /** As the device called itself when it registered, and whether as one for production. */
  name: z.string().max(256).optional(),
  production: z.literal(true).optional(),
  /**
   * A device that an API token registered: with which key it did last, when, and by whose word. `clearing`: what the
   * device had before is not revoked yet. `seenAt`: when it was first seen since, at broker or gateway.
   */
  tokenRegistration: z
    .object({
      publicKeyHash: Fingerprint,
      at: Time,
      by: z.string(),
      clearing: z.literal(true).optional(),
      seenAt: Time.optional(),
    })
    .optional(),
});
export type DeviceRecord = z.infer<typeof DeviceRecord>;

/** Claims of 0.1.0 took any text: their devices were in groups that no command could name. */
function withGroupName(device: Stored & Readonly<Record<string, unknown>>): Stored | undefined {
  const { group } = device;
  if (typeof group !== 'string' || GroupName.safeParse(group).success) return undefined;
  return Object.assign({}, device, { group: groupNameOf(group), groupState: 'pending' });
}

export const deviceRecords = {
  name: 'bootstrap.devices',
  schema: DeviceRecord,
  indexes: {
    byAccount: { fields: ['account', 'deviceId'], unique: true },
    byState: { fields: ['account', 'state', 'deviceId'] },
    byGroup: { fields: ['account', 'group', 'deviceId'] },
    byGroupState: { fields: ['account', 'groupState', 'group', 'deviceId'] },
    byFactory: { fields: ['factoryAccount', 'made'] },
    bySerialNumber: { fields: ['factoryAccount', 'deviceSerialNumber'], unique: true },
    bySecond: { fields: ['secondFingerprint'], unique: true },
    bySecondCertificate: { fields: ['secondIssuerKeyId', 'secondSerial'] },
    byCertificate: { fields: ['authorityId', 'certificateSerial'], unique: true },
  },
  migrations: [{ name: 'group-names-have-one-rule', document: withGroupName }],
} as const satisfies CollectionSpec<DeviceRecord>;

export type DeviceIndex = keyof typeof deviceRecords.indexes;

/** The record as its maker sees it: once another account has it, what was made, and that it was handed on. */
export function makersView(record: DeviceRecord): MadeDevice {
  const { factoryAccount = PLATFORM_ACCOUNT } = record;
  if (isVisible(record, factoryAccount)) return deviceView(record);
  const { id, deviceSerialNumber, model, certificate, manufacturedAt } = record;
  return {
    deviceId: factoryDeviceId(record),
    ...{ factoryAccount, fingerprint: id, deviceSerialNumber, certificate, manufacturedAt },
    ...(model === undefined ? {} : { model }),
    ...{ state: 'claimed', handedOn: true },
  };
}

/** The device id that the factory gave: the claim may have given it another. */
export function factoryDeviceId({ certificate, deviceId }: DeviceRecord): string {
  return DeviceId.parse(parseCertificatePem(certificate).subject.commonName ?? deviceId);
}

/** The record as operators of the account see it that has the device. */
export function deviceView(record: DeviceRecord): Device {
  const secondFingerprint = secondIdentityOf(record);
  return {
    deviceId: record.deviceId,
    factoryAccount: record.factoryAccount ?? PLATFORM_ACCOUNT,
    fingerprint: record.id,
    deviceSerialNumber: record.deviceSerialNumber,
    state: record.state,
    certificate: record.certificate,
    manufacturedAt: record.manufacturedAt,
    ...(record.account === undefined ? {} : { account: record.account }),
    ...(record.model === undefined ? {} : { model: record.model }),
    ...(record.name === undefined ? {} : { name: record.name }),
    ...(record.production === undefined ? {} : { production: true }),
    ...(secondFingerprint === undefined ? {} : { secondFingerprint }),
    ...(record.group === undefined ? {} : { group: record.group }),
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    ...(record.claimedAt === undefined ? {} : { claimedAt: record.claimedAt }),
    ...(record.bootstrappedAt === undefined ? {} : { bootstrappedAt: record.bootstrappedAt }),
  };
}
