import type { Bus } from '@signet/bus';
import {
  approveEnrollment,
  approveRegistration,
  declineEnrollment,
  declineRegistration,
  EnrollmentRequest,
  listEnrollmentRequests,
  listRegistrations,
  RegistrationRequest,
  RegistrationState,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const Kind = z.enum(['registration', 'enrollment']);

/** What a device asks an operator for: to be registered, or a certificate where its profile wants approval. */
const PendingRequest = z.discriminatedUnion('kind', [
  RegistrationRequest.extend({ kind: z.literal('registration') }),
  EnrollmentRequest.extend({ kind: z.literal('enrollment') }),
]);
type PendingRequest = z.infer<typeof PendingRequest>;

/** An id says of which kind its request is. */
const one = inAccount.extend({
  requestId: z.string().regex(/^(r-)?[0-9a-f]{32}$/, 'not the id of a request'),
});
const isRegistration = (requestId: string): boolean => requestId.startsWith('r-');

/** All that waits for an operator, in one list: registrations first, then enrolments, each oldest first. */
export function requestRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/requests',
      summary: 'List what devices ask operators for: registrations, then enrolments, each oldest first',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ state: RegistrationState.optional(), kind: Kind.optional() }),
      response: z.object({ items: z.array(PendingRequest), next: z.string().optional() }),
      handle: ({ params, query }) => list(bus, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/requests/{requestId}/approve',
      summary: 'Approve a request: its device gets its certificate when it asks again',
      permission: 'devices:write',
      params: one,
      query: nothing,
      response: PendingRequest,
      handle: async ({ params, operator }) => {
        const decision = { ...params, by: operator.name };
        return isRegistration(params.requestId)
          ? registration(await bus.request(approveRegistration, decision))
          : enrollment(await bus.request(approveEnrollment, decision));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/requests/{requestId}/decline',
      summary: 'Decline a request: its device is refused with this reason',
      permission: 'devices:write',
      params: one,
      query: nothing,
      body: z.object({ reason: z.string().min(1).max(256) }),
      response: PendingRequest,
      handle: async ({ params, body, operator }) => {
        const decision = { ...params, ...body, by: operator.name };
        return isRegistration(params.requestId)
          ? registration(await bus.request(declineRegistration, decision))
          : enrollment(await bus.request(declineEnrollment, decision));
      },
    }),
  ];
}

type Listing = {
  readonly account: string;
  readonly state?: RegistrationState | undefined;
  readonly kind?: z.infer<typeof Kind> | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
};

/** A page of one list after the other. A cursor is that of the list, with the list's letter before it. */
async function list(
  bus: Bus,
  { account, state, kind, cursor, limit }: Listing,
): Promise<{ items: PendingRequest[]; next?: string }> {
  const at = cursor?.slice(2);
  const page = { account, ...(at === undefined || at === '' ? {} : { cursor: at }) };
  const items: PendingRequest[] = [];
  if (kind !== 'enrollment' && cursor?.startsWith('e.') !== true) {
    const filter = state === undefined ? {} : { state };
    const found = await bus.request(listRegistrations, { ...page, ...filter, limit });
    items.push(...found.items.map(registration));
    if (found.next !== undefined) return { items, next: `r.${found.next}` };
    if (items.length === limit && kind === undefined) return { items, next: 'e.' };
  }
  if (kind === 'registration' || state === 'expired') return { items };
  const filter = state === undefined ? {} : { state };
  const rest = cursor?.startsWith('e.') === true ? page : { account };
  const found = await bus.request(listEnrollmentRequests, {
    ...rest,
    ...filter,
    limit: limit - items.length,
  });
  items.push(...found.items.map(enrollment));
  return { items, ...(found.next === undefined ? {} : { next: `e.${found.next}` }) };
}

function registration(request: RegistrationRequest): PendingRequest {
  return { kind: 'registration', ...request };
}

function enrollment(request: EnrollmentRequest): PendingRequest {
  return { kind: 'enrollment', ...request };
}
