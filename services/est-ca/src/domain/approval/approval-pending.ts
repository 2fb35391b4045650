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
