import type { Bus } from '@signet/bus';
import {
  approveEnrollment,
  declineEnrollment,
  EnrollmentRequestState,
  listEnrollmentRequests,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const one = inAccount.extend({ requestId: z.string().regex(/^[0-9a-f]{32}$/) });

/** Enrolments that wait for an operator. */
export function enrollmentRequestRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/enrollment-requests',
      summary: 'List enrolments that need approval, oldest first',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ state: EnrollmentRequestState.optional() }),
      response: listEnrollmentRequests.output,
      handle: ({ params, query }) => bus.request(listEnrollmentRequests, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/enrollment-requests/{requestId}/approve',
      summary: 'Approve an enrolment: its device gets one certificate when it asks again',
      permission: 'devices:write',
      params: one,
      query: nothing,
      response: approveEnrollment.output,
      handle: ({ params, operator }) => bus.request(approveEnrollment, { ...params, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/enrollment-requests/{requestId}/decline',
      summary: 'Decline an enrolment: its device is refused with this reason',
      permission: 'devices:write',
      params: one,
      query: nothing,
      body: z.object({ reason: z.string().min(1).max(256) }),
      response: declineEnrollment.output,
      handle: ({ params, body, operator }) =>
        bus.request(declineEnrollment, { ...params, ...body, by: operator.name }),
    }),
  ];
}
