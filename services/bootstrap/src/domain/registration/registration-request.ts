import { createHash } from 'node:crypto';
import {
  type EventData,
  Fingerprint,
  GroupName,
  groupNameOf,
  Pem,
  RegistrationRequest,
  SerialNumber,
  Time,
} from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import type { DeviceRecord } from '../device/device-record.ts';

/** A registration as it is kept: of every device of an account one at most, whatever its key. */
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

/** Registrations as the store keeps them. */
export type Registrations = Collection<RegistrationDocument, keyof typeof registrations.indexes>;

/**
 * Same device and key, same request; so an approval is never of another key than the operator saw. Where the protocol
 * sends no key before approval, the device alone.
 */
export function requestIdOf(asked: {
  readonly account: string;
  readonly deviceId: string;
  readonly publicKeyHash?: string | undefined;
}): string {
  const { account, deviceId, publicKeyHash = '' } = asked;
  const digest = createHash('sha256').update(JSON.stringify([account, deviceId, publicKeyHash]));
  return `r-${digest.digest('hex').slice(0, 32)}`;
}

/** Whether a request that nobody decided is over. */
export function isExpired(document: RegistrationDocument, now: number): boolean {
  return document.state === 'waiting' && Date.parse(document.expiresAt) <= now;
}

/** Whether an operator reset the device since its certificate was issued, and it has not started anew. */
export function wasReset(
  { account, issuedAt = '' }: RegistrationDocument,
  record: DeviceRecord | undefined,
): boolean {
  if (record?.account !== account || record.state !== 'claimed') return false;
  return (record.onboardingSince ?? '') > issuedAt;
}

export function requestView(document: RegistrationDocument, now: number): RegistrationRequest {
  const {
    id: requestId,
    certificateId: _certificate,
    fingerprint: _fingerprint,
    chain: _chain,
    serialNumber: _serial,
    issuedAt: _issued,
    waitingNumber: _waiting,
    deviceNumber: _number,
    ...rest
  } = document;
  return { requestId, ...rest, ...(isExpired(document, now) ? { state: 'expired' } : {}) };
}

/** What both events of a registration carry. */
export function requestFacts(
  document: RegistrationDocument,
): Pick<EventData<'DEVICE_REGISTRATION_DECIDED'>, 'requestId' | 'fingerprint'> {
  return { requestId: document.id, fingerprint: document.certificateId };
}
