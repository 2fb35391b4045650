import { z } from 'zod';
import { DenyChange, DenyEntry, DenyKind } from '../catalogue/revocation-sync.ts';
import { Account, DeviceId, Fingerprint, KeyId, SerialNumber, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/**
 * A page of the deny list as of change `number`. `entries` is base64 of packed records of 20 bytes:
 * 16 of key, 4 of expiry (Unix seconds, big-endian, 0 for never). The caller repeats with `cursor` until there is no `next`,
 * and starts again if `number` differs between pages by less than it had (it only grows: changes since the first page's
 * number are applied on top).
 */
export const denylistSnapshot = operation('revocation-sync.snapshot', {
  idempotent: true,
  input: z.object({ cursor: z.string().optional() }),
  output: z.object({ number: z.number().int().min(0), entries: z.base64(), next: z.string().optional() }),
  errors: [],
});

/** The changes `from`…`to`, inclusive, at most 1000 in one answer. */
export const denylistChanges = operation('revocation-sync.changes', {
  idempotent: true,
  input: z.object({ from: z.number().int().min(1), to: z.number().int().min(1) }),
  output: z.object({ changes: z.array(DenyChange) }),
  errors: [],
});

/** Types of events that deny somebody, and so must not wait for the stream. */
export const denyingTypes = [
  'CERT_REVOKED',
  'DEVICE_BLOCKED',
  'DEVICE_RETIRED',
  'CA_CHANGED',
  'ACCOUNT_SUSPENDED',
  'ACCOUNT_DELETED',
] as const;

/**
 * Events of {@link denyingTypes}, told by whoever wrote them, beside the stream and before it: a revocation takes effect
 * though the stream takes nothing. Hearing one again, from the stream, changes nothing. Each is as the stream has it.
 */
export const hearDenials = operation('revocation-sync.hear', {
  idempotent: true,
  input: z.object({ events: z.array(z.record(z.string(), z.unknown())).min(1).max(100) }),
  /** Number of a change of the deny list at which all of it holds. */
  output: z.object({ number: z.number().int().min(0) }),
  errors: [],
});

/** What to deny, by name rather than by hash. */
export const DenyTarget = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('certificate'), issuerKeyId: KeyId, serialNumber: SerialNumber }),
  z.object({ kind: z.literal('key'), publicKeyHash: Fingerprint }),
  z.object({ kind: z.literal('device'), account: Account, deviceId: DeviceId }),
  z.object({ kind: z.literal('fingerprint'), fingerprint: Fingerprint }),
  /** `only: new` leaves live sessions alone. */
  z.object({ kind: z.literal('ca'), subjectKeyId: KeyId, only: z.literal('new').optional() }),
  /** Every device of the account, by its operational certificates. Suspending and deleting the account deny it. */
  z.object({ kind: z.literal('account'), account: Account }),
]);
export type DenyTarget = z.infer<typeof DenyTarget>;

export const denyTargets = operation('revocation-sync.deny', {
  input: z.object({
    account: Account,
    targets: z.array(DenyTarget).min(1).max(1000),
    reason: z.string().max(256),
    /** Unix seconds; absent for never. */
    expiresAt: z.number().int().optional(),
    by: z.string(),
    /** When the operator asked. */
    askedAt: Time.optional(),
  }),
  output: z.object({
    number: z.number().int(),
    /** Ids that were named and that no device of the account has: they are denied anyway. */
    unknown: z.array(DeviceId).optional(),
  }),
  errors: [],
});

export const liftTargets = operation('revocation-sync.lift', {
  input: z.object({ account: Account, targets: z.array(DenyTarget).min(1).max(1000), by: z.string() }),
  output: z.object({
    number: z.number().int(),
    /** What stays denied for reasons that operators cannot lift here, as a revocation. */
    stillDenied: z.array(z.object({ target: DenyTarget, reason: z.string(), source: z.string() })),
  }),
  errors: [],
});

/** What an account's operators see of the deny list; those of the platform see all. */
export const listDenied = operation('revocation-sync.list', {
  idempotent: true,
  input: PageRequest.extend({
    account: Account,
    kind: DenyKind.optional(),
    /** Only this one. */
    target: DenyTarget.optional(),
    /** Only what has it in its names, its reason or its source, whatever the case. Pages may be empty before the last. */
    text: z.string().min(1).max(128).optional(),
  }),
  output: pageOf(DenyEntry.extend({ target: DenyTarget, since: Time, source: z.string() })),
  errors: [],
});
