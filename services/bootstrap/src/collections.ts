import {
  Account,
  AccountSettings,
  AuthorityState,
  BlockTarget,
  BootstrapRedirect,
  DeviceId,
  DeviceState,
  Fingerprint,
  GroupName,
  groupNameOf,
  KeyId,
  OnboardingHook,
  OnboardingNotification,
  Pem,
  RegistrationCertificate,
  RegistrationRequest,
  SerialNumber,
  Time,
} from '@signet/contracts';
import { AccountState } from '@signet/service';
import type { Collection, CollectionSpec, Store, Stored } from '@signet/store';
import { z } from 'zod';

/** A copy of the states of accounts. `admin-api` owns them. */
export const accountStates = {
  name: 'bootstrap.account-states',
  schema: AccountState,
  indexes: {},
} as const satisfies CollectionSpec<AccountState>;

export type AccountStates = Collection<AccountState>;

/** What an account has changed of its settings; the rest is {@link defaultSettings}. */
export const AccountRecord = z.object({
  id: Account,
  settings: AccountSettings.partial(),
  changedBy: z.string(),
  changedAt: Time,
});

export type AccountRecord = z.infer<typeof AccountRecord>;

export const accountRecords = {
  name: 'bootstrap.accounts',
  schema: AccountRecord,
  indexes: {},
} as const satisfies CollectionSpec<AccountRecord>;

export type AccountRecords = Collection<AccountRecord>;

/** One blocked fingerprint, range or factory CA. The id of a fingerprint's rule is `<account>/<fingerprint>`. */
export const BlockRuleRecord = z.object({
  id: z.string(),
  account: Account,
  /** Fingerprints are looked up by id; the others are read together. */
  scope: z.enum(['one', 'many']),
  target: BlockTarget,
  reason: z.string(),
  by: z.string(),
  since: Time,
});

export type BlockRuleRecord = z.infer<typeof BlockRuleRecord>;

export const blockRules = {
  name: 'bootstrap.block-rules',
  schema: BlockRuleRecord,
  indexes: { byAccount: { fields: ['account', 'id'] }, byScope: { fields: ['account', 'scope'] } },
} as const satisfies CollectionSpec<BlockRuleRecord>;

export type BlockRules = Collection<BlockRuleRecord, keyof typeof blockRules.indexes>;

/** A factory CA that was put out of force at some time, as its last event said; its id is that of the CA. */
export const VoidedAuthority = z.object({
  id: z.string(),
  account: Account,
  state: AuthorityState,
  reason: z.string(),
  /** Revoked with its account: devices that others have onboarded go on, whatever their settings. */
  accountDeleted: z.literal(true).optional(),
  /** Of the last event that was applied. */
  sequence: z.number(),
  at: Time,
  /** How many of its devices have been updated; absent: all of them. */
  progress: z
    .object({ since: z.number(), of: z.string().optional(), cursor: z.string().optional() })
    .optional(),
  /** When there is something to do, Unix ms. */
  dueAt: z.number().optional(),
});

export type VoidedAuthority = z.infer<typeof VoidedAuthority>;

export const voidedAuthorities = {
  name: 'bootstrap.voided-authorities',
  schema: VoidedAuthority,
  indexes: { byDue: { fields: ['dueAt'] } },
} as const satisfies CollectionSpec<VoidedAuthority>;

export type VoidedAuthorities = Collection<VoidedAuthority, keyof typeof voidedAuthorities.indexes>;

/** One of the causes that block a device, and its reason. */
export const BlockCause = z.object({ cause: z.string(), reason: z.string() });

export type BlockCause = z.infer<typeof BlockCause>;

/**
 * A device; its id is the fingerprint of its bootstrap certificate.
 * `deviceSerialNumber`, `model` and everything in the certificate never change (F56).
 */
export const DeviceRecord = z.object({
  id: Fingerprint,
  deviceId: DeviceId,
  /** The account that made it. Absent: unknown, because several accounts have its CA pinned. */
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
  /** Whether `provisioning`, which owns groups, has read the group of the claim; absent in claims of 0.1.0. */
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

export type Devices = Collection<DeviceRecord, DeviceIndex>;

/** The hook of an account; its id is the account. */
export const HookRecord = OnboardingHook.omit({ account: true }).extend({ id: Account, secret: z.string() });

export type HookRecord = z.infer<typeof HookRecord>;

export const hookRecords = {
  name: 'bootstrap.hooks',
  schema: HookRecord,
  indexes: {},
} as const satisfies CollectionSpec<HookRecord>;

export type Hooks = Collection<HookRecord>;

/** The notification of one onboarding. Its id is the same for every event of that onboarding, so there is only one. */
export const NotificationRecord = OnboardingNotification.omit({ notificationId: true, nextAt: true }).extend({
  id: z.string(),
  /** The body, as it is sent each time. */
  body: z.string(),
  /** Unix ms; while it is due. */
  dueAt: z.number().optional(),
  /** Unix ms after which it is forgotten; once it is delivered or dead. */
  forgetAt: z.number().optional(),
  endedAt: Time.optional(),
});

export type NotificationRecord = z.infer<typeof NotificationRecord>;

export const notificationRecords = {
  name: 'bootstrap.notifications',
  schema: NotificationRecord,
  indexes: {
    byDue: { fields: ['dueAt'] },
    byAccount: { fields: ['account', 'state', 'id'] },
    byEnd: { fields: ['forgetAt'] },
  },
} as const satisfies CollectionSpec<NotificationRecord>;

export type Notifications = Collection<NotificationRecord, keyof typeof notificationRecords.indexes>;

/**
 * One attempt to deliver. Its id is that of the notification and the number of the attempt: of all replicas
 * that would make it one inserts it, on whatever store.
 */
export const AttemptRecord = z.object({ id: z.string(), until: z.number() });

export type AttemptRecord = z.infer<typeof AttemptRecord>;

export const attemptRecords = {
  name: 'bootstrap.hook-attempts',
  schema: AttemptRecord,
  indexes: { byEnd: { fields: ['until'] } },
} as const satisfies CollectionSpec<AttemptRecord>;

export type Attempts = Collection<AttemptRecord, keyof typeof attemptRecords.indexes>;

/** A redirect; its id names the device or account, `setBy` the account whose operators see it. */
export const RedirectRecord = BootstrapRedirect.extend({ id: z.string(), setBy: Account });

export type RedirectRecord = z.infer<typeof RedirectRecord>;

export const redirectRecords = {
  name: 'bootstrap.redirects',
  schema: RedirectRecord,
  indexes: { bySetter: { fields: ['setBy', 'id'] } },
} as const satisfies CollectionSpec<RedirectRecord>;

export type Redirects = Collection<RedirectRecord, keyof typeof redirectRecords.indexes>;

/** A registration certificate; its id is its fingerprint. */
export const CertificateDocument = RegistrationCertificate.omit({ certificateId: true }).extend({
  id: Fingerprint,
});

export type CertificateDocument = z.infer<typeof CertificateDocument>;

export const registrationCertificates = {
  name: 'bootstrap.registration-certificates',
  schema: CertificateDocument,
  indexes: { byName: { fields: ['account', 'name'], unique: true } },
} as const satisfies CollectionSpec<CertificateDocument>;

export type RegistrationCertificates = Collection<CertificateDocument, 'byName'>;

/** A registration: at most one for each device of an account, whatever its key. */
export const RegistrationDocument = RegistrationRequest.omit({ requestId: true, state: true }).extend({
  id: z.string(),
  /** Of the registration certificate. */
  certificateId: Fingerprint,
  /** A request that waits past `expiresAt` is seen as expired. */
  state: z.enum(['waiting', 'approved', 'issued', 'declined']),
  /** Of the device record, which is there from the issuance on. */
  fingerprint: Fingerprint.optional(),
  /** Issuers of the bootstrap certificate, PEM. */
  chain: z.array(Pem).optional(),
  /** Of the operational certificate, where the protocol gives that one. */
  serialNumber: SerialNumber.optional(),
  issuedAt: Time.optional(),
  /** Below the certificate's `maxWaiting`, while it waits. */
  waitingNumber: z.number().int().min(0).optional(),
  /** Below the certificate's `limit`, where it has one: from the approval on. */
  deviceNumber: z.number().int().min(0).optional(),
});

export type RegistrationDocument = z.infer<typeof RegistrationDocument>;

export const registrations = {
  name: 'bootstrap.registrations',
  schema: RegistrationDocument,
  indexes: {
    byDevice: { fields: ['account', 'deviceId'], unique: true },
    byAccount: { fields: ['account', 'askedAt'] },
    byState: { fields: ['account', 'state', 'askedAt'] },
    byCertificate: { fields: ['certificateId', 'state', 'expiresAt'] },
    byWaitingNumber: { fields: ['certificateId', 'waitingNumber'], unique: true },
    byDeviceNumber: { fields: ['certificateId', 'deviceNumber'], unique: true },
  },
  migrations: [
    {
      name: 'group-names-have-one-rule',
      document: (request) =>
        typeof request.group !== 'string' || GroupName.safeParse(request.group).success
          ? undefined
          : Object.assign({}, request, { group: groupNameOf(request.group) }),
    },
  ],
} as const satisfies CollectionSpec<RegistrationDocument>;

export type Registrations = Collection<RegistrationDocument, keyof typeof registrations.indexes>;

export async function openCollections(store: Store) {
  return {
    accounts: await store.collection(accountRecords),
    accountStates: await store.collection(accountStates),
    rules: await store.collection(blockRules),
    voided: await store.collection(voidedAuthorities),
    devices: await store.collection(deviceRecords),
    hooks: await store.collection(hookRecords),
    notifications: await store.collection(notificationRecords),
    attempts: await store.collection(attemptRecords),
    redirects: await store.collection(redirectRecords),
    certificates: await store.collection(registrationCertificates),
    registrations: await store.collection(registrations),
  };
}

export type Collections = Awaited<ReturnType<typeof openCollections>>;
