import { z } from 'zod';
import { Account, DeviceId, Fingerprint, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** `waiting` for an operator; `approved` until its device comes for it; then `issued`. */
export const EnrollmentRequestState = z.enum(['waiting', 'approved', 'issued', 'declined']);
export type EnrollmentRequestState = z.infer<typeof EnrollmentRequestState>;

/** An enrolment that needs an operator's approval. */
export const EnrollmentRequest = z.object({
  requestId: z.string(),
  account: Account,
  deviceId: DeviceId,
  profile: z.string().describe('Label of the profile'),
  subject: z.string().describe('Subject that the CSR names'),
  publicKeyHash: Fingerprint.describe('SHA-256 of the SubjectPublicKeyInfo of the CSR'),
  keyType: z.string(),
  renewal: z.boolean(),
  state: EnrollmentRequestState,
  askedAt: Time.describe('When it was first asked'),
  decidedAt: Time.optional(),
  decidedBy: z.string().optional(),
  reason: z.string().optional().describe('Why it was declined'),
});
export type EnrollmentRequest = z.infer<typeof EnrollmentRequest>;

export const listEnrollmentRequests = operation('est-ca.list-requests', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, state: EnrollmentRequestState.optional() }),
  output: pageOf(EnrollmentRequest),
  errors: [],
});

const one = z.object({ account: Account, requestId: z.string(), by: z.string() });

/** The device gets its certificate when it asks again. Approving twice changes nothing. */
export const approveEnrollment = operation('est-ca.approve-request', {
  input: one,
  output: EnrollmentRequest,
  errors: ['unknown-request', 'request-decided'],
});

/** The device is refused from now on, with this reason. Declining twice changes nothing. */
export const declineEnrollment = operation('est-ca.decline-request', {
  input: one.extend({ reason: z.string().min(1).max(256) }),
  output: EnrollmentRequest,
  errors: ['unknown-request', 'request-decided'],
});
