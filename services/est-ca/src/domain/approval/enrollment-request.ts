import { createHash } from 'node:crypto';
import {
  EnrollmentRequest,
  type EventData,
  Fingerprint,
  newEvent,
  SerialNumber,
  Time,
} from '@signet/contracts';
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

/**
 * A device was reset, given up or retired at `at` (Unix ms): what it had asked for by then, and what was approved and not
 * used, is gone. It asks anew, and its owner decides anew. What was issued stays on record.
 */
export async function voidRequests(
  requests: Pick<Requests, 'find' | 'remove'>,
  device: { readonly account: string; readonly deviceId: string },
  { at }: { readonly at: number },
): Promise<void> {
  const { account, deviceId } = device;
  const isMeant = (request: RequestDocument) =>
    request.deviceId === deviceId && Date.parse(request.provenAt) <= at;
  for (const state of ['waiting', 'approved'] as const) {
    let cursor: string | undefined;
    do {
      const page = await requests.find({
        ...{ index: 'state', equals: { account, state }, to: new Date(at + 1).toISOString(), limit: 500 },
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { id } of page.items.filter(isMeant)) await requests.remove(id);
      cursor = page.next;
    } while (cursor !== undefined);
  }
}
