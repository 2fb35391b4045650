import { z } from 'zod';
import { DeviceState } from '../device-state.ts';
import {
  Account,
  DeviceId,
  DeviceSerialNumber,
  Fingerprint,
  Pem,
  SerialNumber,
  Time,
} from '../identifiers.ts';
import { operation } from '../operation.ts';
import { GroupName } from './groups.ts';
import { PageRequest, pageOf } from './paging.ts';

/** A device as operators see it. `account` and `claimedAt` are absent until it is claimed. */
export const Device = z.object({
  deviceId: DeviceId,
  account: Account.optional(),
  factoryAccount: Account,
  fingerprint: Fingerprint,
  /** The device's own serial number (immutable), not the certificate's. */
  deviceSerialNumber: z.string(),
  model: z.string().optional(),
  /** As it called itself when it registered by a token. */
  name: z.string().optional(),
  /** Whether it registered itself as one for production. */
  production: z.boolean().optional(),
  group: z.string().optional(),
  /** Of its second bootstrap certificate, where it has two. */
  secondFingerprint: Fingerprint.optional(),
  state: DeviceState,
  /** Why it is blocked or retired. */
  reason: z.string().optional(),
  certificate: Pem,
  manufacturedAt: Time,
  claimedAt: Time.optional(),
  bootstrappedAt: Time.optional(),
});
export type Device = z.infer<typeof Device>;

export const FactoryItem = z.object({
  /** PKCS#10 in PEM, made with a key that never leaves the device (or the factory's station). */
  csr: z.string(),
  /** The device's own serial number; default: the CSR's CN. */
  deviceSerialNumber: DeviceSerialNumber.optional(),
  model: z.string().max(128).optional(),
});

export const FactoryResult = z.object({
  fingerprint: Fingerprint,
  deviceId: DeviceId,
  certificateSerial: SerialNumber,
  /** The bootstrap certificate. */
  certificate: Pem,
  /** Its issuers, the factory CA first, the root last. */
  chain: z.array(Pem),
  /** Roots by which the device verifies the bootstrap service. */
  trustAnchors: z.array(Pem),
});
export type FactoryResult = z.infer<typeof FactoryResult>;

/** Each item stands or falls by itself; results come in the order of the items. */
export const factorySign = operation('bootstrap.factory-sign', {
  input: z.object({ account: Account, items: z.array(FactoryItem).min(1).max(256), by: z.string() }),
  output: z.object({
    results: z.array(
      z.union([FactoryResult, z.object({ error: z.object({ code: z.string(), message: z.string() }) })]),
    ),
  }),
  errors: ['no-factory-ca'],
});

/**
 * A device in the log of its maker. One that another account claimed is `handedOn`: of it stands only what the maker put
 * in, with the id that the factory gave and the state `claimed`, whatever became of it.
 */
export const MadeDevice = Device.extend({
  handedOn: z
    .literal(true)
    .optional()
    .describe('Another account has claimed it; what it does with it is not told'),
});
export type MadeDevice = z.infer<typeof MadeDevice>;

/** The factory log: every bootstrap certificate made, in order of making. */
export const factoryLog = operation('bootstrap.factory-log', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(MadeDevice),
  errors: [],
});

export const claimDevice = operation('bootstrap.claim', {
  input: z.object({
    account: Account,
    fingerprint: Fingerprint.optional(),
    /** Claim code of the label, in place of the fingerprint. */
    code: z.string().max(256).optional(),
    /** Default: the id that the factory gave. */
    deviceId: DeviceId.optional(),
    group: GroupName.optional(),
    by: z.string(),
  }),
  output: Device,
  errors: [
    'unknown-device',
    'claimed-by-another',
    'blocked',
    'illegal-transition',
    'device-id-taken',
    'bad-claim-code',
    'ambiguous-code',
    'account-suspended',
  ],
});

export const listDevices = operation('bootstrap.list-devices', {
  idempotent: true,
  input: PageRequest.extend({
    account: Account,
    state: DeviceState.optional(),
    group: GroupName.optional(),
  }),
  output: pageOf(Device),
  errors: ['unknown-group'],
});

/** By device id within the account, or by fingerprint. */
export const getDevice = operation('bootstrap.get-device', {
  idempotent: true,
  input: z.object({ account: Account, deviceId: DeviceId.optional(), fingerprint: Fingerprint.optional() }),
  output: Device,
  errors: ['unknown-device'],
});

/** Devices by id, by fingerprint or as a group, in one call. */
export const DeviceSelection = z.object({
  account: Account,
  deviceIds: z.array(DeviceId).max(1000).optional(),
  fingerprints: z.array(Fingerprint).max(1000).optional(),
  group: z.string().optional(),
  by: z.string(),
});

/** What one call did; `failed` says why for each device that it could not change. */
export const DevicesChanged = z.object({
  changed: z.array(DeviceId),
  failed: z.array(z.object({ device: z.string(), code: z.string(), message: z.string() })),
});
export type DevicesChanged = z.infer<typeof DevicesChanged>;

export const blockDevices = operation('bootstrap.block', {
  input: DeviceSelection.extend({ reason: z.string().max(256) }),
  output: DevicesChanged,
  errors: ['unknown-device'],
});

export const unblockDevices = operation('bootstrap.unblock', {
  input: DeviceSelection,
  output: DevicesChanged,
  errors: ['unknown-device'],
});

/** Final: the devices' certificates are revoked, the devices refused everywhere. */
export const retireDevices = operation('bootstrap.retire', {
  input: DeviceSelection.extend({ reason: z.string().max(256) }),
  output: DevicesChanged,
  errors: ['unknown-device'],
});

/** Everything a device needs after its claim: where to go, whom to trust, what to enrol with. */
export const Bundle = z.object({
  account: Account,
  deviceId: DeviceId,
  /** Name of the instance that did the handoff. */
  instance: z.string(),
  /** Roots that the device shall trust from now on, PEM. */
  trustAnchors: z.array(Pem),
  est: z.object({
    /** Base URL, without `/.well-known/est`. */
    url: z.url(),
    label: z.string(),
    username: z.string(),
    /** The enrollment grant: once usable, until `expiresAt`. */
    grant: z.string(),
    expiresAt: Time,
  }),
  mqtt: z.object({
    url: z.url(),
    clientId: z.string(),
    /** Random, of this handoff; where the account wants a second factor besides the certificate. */
    username: z.string().optional(),
    password: z.string().optional(),
  }),
  /** What commands of the account are signed by: the certificate, and its issuers, the root last. */
  commands: z.object({ certificate: Pem, chain: z.array(Pem) }).optional(),
  /** The operational certificate, where the request had a CSR and the profile allows it. */
  certificate: Pem.optional(),
  /** Why a CSR in the request got no certificate: enrol over EST. */
  refusal: z.object({ code: z.string(), detail: z.string() }).optional(),
  gateway: z.object({ url: z.url() }),
  config: z.record(z.string(), z.string()),
});
export type Bundle = z.infer<typeof Bundle>;

/** The handoff of a claimed device, for a road other than HTTPS; it moves the device on like `POST /v1/bootstrap`. */
export const handOverDevice = operation('bootstrap.hand-over', {
  input: z.object({ fingerprint: Fingerprint, csr: z.string().max(65_536).optional() }),
  output: Bundle,
  errors: [
    'unknown-device',
    'unclaimed',
    'blocked',
    'retired',
    'wrong-identity',
    'waits-for-operator',
    'unknown-profile',
    'no-issuing-ca',
    'account-suspended',
    'redirected',
  ],
});
