import { newEvent } from '@signet/contracts';
import type { RequestDocument, Requests } from './enrollment-request.ts';
import { requestFacts } from './enrollment-request.ts';

/** A decision that cannot be made. */
export class DecisionError extends Error {
  override readonly name = 'DecisionError';
  readonly code: 'unknown-request' | 'request-decided';

  constructor(code: DecisionError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export type Decision = { readonly by: string; readonly at: number } & (
  | { readonly approved: true }
  | { readonly approved: false; readonly reason: string }
);

/**
 * Approves or declines. A decision may be changed until the certificate is issued; made twice, it changes nothing.
 * @throws DecisionError `unknown-request`, `request-decided` where the certificate is out
 */
export async function decide(
  requests: Pick<Requests, 'get' | 'update'>,
  which: { readonly account: string; readonly requestId: string },
  decision: Decision,
): Promise<RequestDocument> {
  const { account, requestId } = which;
  if ((await requests.get(requestId))?.account !== account)
    throw new DecisionError(
      'unknown-request',
      `requestId: account "${account}" has no request "${requestId}"`,
    );
  const state = decision.approved ? 'approved' : 'declined';
  return requests.update(requestId, (current) => {
    if (current.state === state) return undefined;
    if (current.state === 'issued') {
      if (decision.approved) return undefined;
      throw new DecisionError(
        'request-decided',
        `requestId: certificate ${current.serialNumber} was issued for it; revoke that instead`,
      );
    }
    const { reason: _reason, ...rest } = current;
    const document: RequestDocument = {
      ...rest,
      state,
      decidedAt: new Date(decision.at).toISOString(),
      decidedBy: decision.by,
      ...(decision.approved ? {} : { reason: decision.reason }),
    };
    const event = newEvent('ENROLLMENT_DECIDED', {
      account,
      subject: document.deviceId,
      time: decision.at,
      data: {
        ...requestFacts(document),
        approved: decision.approved,
        by: decision.by,
        ...(decision.approved ? {} : { reason: decision.reason }),
      },
    });
    return { document, events: [event] };
  });
}
