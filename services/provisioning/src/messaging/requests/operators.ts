import type { Bus, Subscription } from '@signet/bus';
import {
  createProvisioningRequest,
  getProvisioningRequest,
  listProvisioningRequests,
  OperationError,
  type OperationOutput,
  type ProvisioningPlan,
  stopProvisioningRequest,
} from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import { newRequest } from '../../domain/requests/new-request.ts';
import type { ProvisioningRequest, RequestIndex } from '../../domain/requests/provisioning-request.ts';
import { RequestError } from '../../domain/requests/request-error.ts';
import { requestView } from '../../domain/requests/request-view.ts';
import { isFinal, stop } from '../../domain/requests/transitions.ts';

export type Requests = Collection<ProvisioningRequest, RequestIndex>;
type Deps = { bus: Bus; requests: Requests; now: () => number };
type Plan = ProvisioningPlan & { account: string; by: string };

/** What operators do with provisioning requests. */
export async function serveRequests({ bus, requests, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(createProvisioningRequest, (plan) => create({ requests, now }, plan)),
    await bus.serve(listProvisioningRequests, async ({ account, deviceId, state, limit, cursor }) => {
      const page = await requests.find({
        ...(deviceId !== undefined
          ? { index: 'byDevice', equals: { account, deviceId } }
          : state !== undefined
            ? { index: 'byState', equals: { account, state } }
            : { index: 'byRequest', equals: { account } }),
        ...{ limit, descending: true },
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items.filter((request) => state === undefined || request.state === state);
      return {
        items: items.map(requestView),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    }),
    await bus.serve(getProvisioningRequest, async ({ account, requestId }) => {
      const request = await byRequestId(requests, account, requestId);
      if (request === undefined) throw unknownRequest(account, requestId);
      return requestView(request);
    }),
    await bus.serve(stopProvisioningRequest, async ({ account, requestId, ...facts }) => {
      const request = await byRequestId(requests, account, requestId);
      if (request === undefined) throw unknownRequest(account, requestId);
      try {
        return requestView(
          await requests.update(request.id, (current) => stop(current, { ...facts, now: now() })),
        );
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        throw new OperationError(error.code, error.message, { cause: error });
      }
    }),
  ];
}

export async function byRequestId(
  requests: Requests,
  account: string,
  requestId: string,
): Promise<ProvisioningRequest | undefined> {
  const page = await requests.find({ index: 'byRequest', equals: { account, requestId }, limit: 1 });
  return page.items[0];
}

/** One open request a device: another is refused, or with `overwrite` stops those before it. */
async function create(
  { requests, now }: Omit<Deps, 'bus'>,
  plan: Plan,
): Promise<OperationOutput<typeof createProvisioningRequest>> {
  checkPlan(plan, now());
  for (;;) {
    const { account, deviceId, by, overwrite } = plan;
    const { items } = await requests.find({ prefix: `${account}/${deviceId}/`, descending: true, limit: 1 });
    const [last] = items;
    if (last !== undefined && !isFinal(last)) {
      if (!overwrite)
        throw new OperationError(
          'request-exists',
          `deviceId: "${deviceId}" has a provisioning request, ${last.requestId}, in state ${last.state}`,
          { field: 'deviceId' },
        );
      const facts = { by, reason: 'another took its place', now: now() };
      await requests.update(last.id, (current) => (isFinal(current) ? undefined : stop(current, facts)));
    }
    const n = last === undefined ? 1 : Number(last.id.slice(last.id.lastIndexOf('/') + 1)) + 1;
    const { request, events, ...made } = await newRequest(plan, { n, now: now() });
    try {
      await requests.insert(request, events);
      return { requestId: request.requestId, expiresOn: request.expiresOn, ...made };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    }
  }
}

function checkPlan(plan: Plan, now: number): void {
  const invalid = (field: string, why: string) =>
    new OperationError('invalid-input', `${field}: ${why}`, { field });
  const { username, password, activationKey, activatesOn, expiresOn } = plan;
  if (activationKey !== undefined && password !== undefined)
    throw invalid('activationKey', 'it takes the place of user name and password');
  if ((username === undefined) !== (password === undefined))
    throw invalid('password', 'user name and password come together');
  if (expiresOn === undefined) return;
  if (Date.parse(expiresOn) <= Math.max(now, activatesOn === undefined ? 0 : Date.parse(activatesOn)))
    throw invalid('expiresOn', `${expiresOn} is not after the start of the window, or has passed`);
}

function unknownRequest(account: string, requestId: string): OperationError {
  const message = `requestId: account "${account}" has no provisioning request "${requestId}"`;
  return new OperationError('unknown-request', message, { field: 'requestId' });
}
