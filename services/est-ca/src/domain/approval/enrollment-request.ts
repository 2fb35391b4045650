import { createHash } from 'node:crypto';
import { EnrollmentRequest, type EventData, Fingerprint, SerialNumber, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A request for approval as it is stored. Its id is a hash of device, profile, Subject and key. */
export const RequestDocument = EnrollmentRequest.omit({ requestId: true }).extend({
  id: z.string(),
  /** What the device proved itself by when it asked last, and since when it has asked with that. */
  proof: Fingerprint,
  provenAt: Time,
  /** Of the one certificate that the approval was for. */
  serialNumber: SerialNumber.optional(),
});
export type RequestDocument = z.infer<typeof RequestDocument>;

/** Requests as the store keeps them. */
export type Requests = Collection<RequestDocument, 'account' | 'state'>;

export const requests: CollectionSpec<RequestDocument, 'account' | 'state'> = {
  name: 'est-ca.requests',
  schema: RequestDocument,
  indexes: {
    account: { fields: ['account', 'askedAt'] },
    state: { fields: ['account', 'state', 'askedAt'] },
  },
};

/** What is asked for, however often the CSR is signed anew. */
export type AskedFor = {
  readonly account: string;
  readonly deviceId: string;
  /** Label. */
  readonly profile: string;
  readonly subjectDer: Uint8Array;
  readonly subject: string;
  readonly publicKeyHash: string;
  readonly keyType: string;
  /** Serial number of the certificate that is renewed. */
  readonly renews?: string | undefined;
  /** SHA-256, hex. */
  readonly proof: string;
};

/** Same Subject and key, same request. */
export function requestId(asked: AskedFor): string {
  return createHash('sha256')
    .update(
      JSON.stringify([asked.account, asked.deviceId, asked.profile, asked.publicKeyHash, asked.renews ?? '']),
    )
    .update(asked.subjectDer)
    .digest('hex')
    .slice(0, 32);
}

/** The facts that both events of a request carry. */
export function requestFacts(request: RequestDocument): EventData<'ENROLLMENT_REQUESTED'> {
  const { id, deviceId, profile, publicKeyHash, renewal } = request;
  return { requestId: id, deviceId, profile, publicKeyHash, renewal };
}
