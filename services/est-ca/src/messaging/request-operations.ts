import { type EnrollmentRequest, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import {
  DecisionError,
  decide,
  type RequestDocument,
  type Requests,
} from '../domain/approval/enrollment-request.ts';
import type { EstCaOperations } from './operations.ts';

/** Enrolments that wait for an operator: listed, approved, declined. */
export function requestOperations(deps: {
  readonly requests: Requests;
  readonly now: () => number;
}): Pick<EstCaOperations, 'listEnrollmentRequests' | 'approveEnrollment' | 'declineEnrollment'> {
  return {
    async listEnrollmentRequests({ account, state, cursor, limit }) {
      const page = await deps.requests.find({
        ...(state === undefined
          ? { index: 'account' as const, equals: { account } }
          : { index: 'state' as const, equals: { account, state } }),
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return { items: page.items.map(described), ...(page.next === undefined ? {} : { next: page.next }) };
    },
    approveEnrollment: ({ account, requestId, by }) =>
      decided(deps, { account, requestId }, { approved: true, by, at: deps.now() }),
    declineEnrollment: ({ account, requestId, by, reason }) =>
      decided(deps, { account, requestId }, { approved: false, reason, by, at: deps.now() }),
  };
}

async function decided(
  { requests }: { readonly requests: Requests },
  which: Parameters<typeof decide>[1],
  decision: Parameters<typeof decide>[2],
) {
  try {
    return described(await decide(requests, which, decision));
  } catch (cause) {
    if (!(cause instanceof DecisionError)) throw cause;
    throw new OperationError(cause.code, cause.message, { field: 'requestId', cause });
  }
}

function described(request: RequestDocument): z.input<typeof EnrollmentRequest> {
  const { id: requestId, proof: _proof, provenAt: _provenAt, serialNumber: _serial, ...rest } = request;
  return { requestId, ...rest };
}
