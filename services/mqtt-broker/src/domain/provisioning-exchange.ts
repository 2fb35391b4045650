import { provisioningTopic, type RefusalCode } from '@signet/contracts';

/** A device whose user name and password match a provisioning request. */
export type Applicant = {
  readonly account: string;
  readonly deviceId: string;
  readonly requestId: string;
  /** SHA-256 of the bootstrap certificate that it showed, hex. */
  readonly fingerprint: string;
};

/** Why a provisioning exchange is refused. */
export class ProvisioningRefused extends Error {
  override readonly name = 'ProvisioningRefused';
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Who answers the exchange. Both fail with {@link ProvisioningRefused}. */
export type ProvisioningDesk = {
  authenticate(credentials: {
    readonly fingerprint: string;
    readonly clientId: string;
    readonly username: string;
    readonly password: string;
  }): Promise<Applicant>;
  /** The bundle of hand-over, as JSON. */
  complete(applicant: Applicant): Promise<string>;
};

/** An applicant publishes its request, and nothing else. */
export function isRequest({ deviceId }: Applicant, topic: string): boolean {
  return topic === provisioningTopic(deviceId, 'request');
}

/** It subscribes to its reply, and nothing else: no wildcard, no other device. */
export function isReply({ deviceId }: Applicant, topic: string): boolean {
  return topic === provisioningTopic(deviceId, 'reply');
}

const refusals: Readonly<Record<string, RefusalCode>> = {
  unmatched: 'unknown-device',
  'unknown-device': 'unknown-device',
  'wrong-password': 'wrong-password',
  unclaimed: 'unclaimed',
  blocked: 'blocked',
  retired: 'retired',
  'invalid-input': 'malformed-request',
};

/** The refusal for what an operation failed with; whatever is not the device's fault is `unavailable`. */
export function refusalOf(operationCode: string): RefusalCode {
  return Object.hasOwn(refusals, operationCode) ? (refusals[operationCode] ?? 'unavailable') : 'unavailable';
}
