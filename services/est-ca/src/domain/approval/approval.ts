import { newEvent } from '@signet/contracts';
import { isDuplicate } from '@signet/store';
import { EnrollmentError } from '../est/enrollment-error.ts';
import {
  type AskedFor,
  type RequestDocument,
  type Requests,
  requestFacts,
  requestId,
} from './enrollment-request.ts';

/** How soon a device may ask again, in seconds. */
const RETRY_AFTER_SECONDS = 30;

/** An enrolment that waits for an operator: no refusal, and nothing was issued (RFC 7030 §4.2.3, 202). */
export class ApprovalPending extends Error {
  override readonly name = 'ApprovalPending';
  readonly requestId: string;
  readonly retryAfter = RETRY_AFTER_SECONDS;

  constructor(requestId: string) {
    super(`request ${requestId}: waits for approval`);
    this.requestId = requestId;
  }
}

/** Since when (Unix ms) a device has waited with this very proof: a grant that ran out meanwhile was in time. */
export function waitingSince(filed: RequestDocument, proof: string, now: number): number {
  return filed.proof === proof ? Date.parse(filed.provenAt) : now;
}

/**
 * Passes if the request was approved; else it waits from now on, or goes on waiting.
 * @throws ApprovalPending; EnrollmentError `declined`
 */
export async function requireApproval(
  requests: Pick<Requests, 'insert' | 'update'>,
  asked: AskedFor,
  filed: RequestDocument | undefined,
  now: number,
): Promise<void> {
  const id = requestId(asked);
  if (filed === undefined) {
    const request = newRequest(id, asked, now);
    await requests.insert(request, [requestedEvent(request, now)]).catch((error: unknown) => {
      if (!isDuplicate(error)) throw error;
    });
    throw new ApprovalPending(id);
  }
  if (filed.state === 'declined') throw declined(filed);
  if (filed.state !== 'waiting') return;
  if (filed.proof !== asked.proof)
    await requests.update(id, (current) => ({
      document: { ...current, proof: asked.proof, provenAt: new Date(now).toISOString() },
    }));
  throw new ApprovalPending(id);
}

/**
 * Spends the approval on the certificate with this serial number: it is good for one. A request that had another
 * certificate before waits for a new approval.
 * @throws ApprovalPending; EnrollmentError `declined`
 */
export async function spendApproval(
  requests: Pick<Requests, 'update'>,
  id: string,
  serialNumber: string,
  now: number,
): Promise<void> {
  const spent = await requests.update(id, (current) => {
    if (current.state === 'approved') return { document: { ...current, state: 'issued', serialNumber } };
    if (current.state !== 'issued' || current.serialNumber === serialNumber) return undefined;
    const { decidedAt: _at, decidedBy: _by, serialNumber: _serial, ...rest } = current;
    const document: RequestDocument = { ...rest, state: 'waiting', askedAt: new Date(now).toISOString() };
    return { document, events: [requestedEvent(document, now)] };
  });
  if (spent.state === 'declined') throw declined(spent);
  if (spent.state !== 'issued') throw new ApprovalPending(id);
}

function newRequest(id: string, asked: AskedFor, now: number): RequestDocument {
  const { account, deviceId, profile, subject, publicKeyHash, keyType, renews, proof } = asked;
  const time = new Date(now).toISOString();
  return {
    id,
    account,
    deviceId,
    profile,
    subject,
    publicKeyHash,
    keyType,
    renewal: renews !== undefined,
    state: 'waiting',
    askedAt: time,
    proof,
    provenAt: time,
  };
}

function requestedEvent(request: RequestDocument, now: number) {
  return newEvent('ENROLLMENT_REQUESTED', {
    account: request.account,
    subject: request.deviceId,
    time: now,
    data: requestFacts(request),
  });
}

function declined({ decidedAt, reason }: RequestDocument): EnrollmentError {
  return new EnrollmentError('declined', `approval: declined at ${decidedAt}: ${reason}`);
}
