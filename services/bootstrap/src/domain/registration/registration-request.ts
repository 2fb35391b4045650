import { createHash } from 'node:crypto';
import type { EventData, RegistrationRequest } from '@signet/contracts';
import type { DeviceRecord, RegistrationDocument } from '../../collections.ts';

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
