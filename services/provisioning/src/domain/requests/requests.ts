import {
  type createProvisioningRequest,
  type getProvisioningRequest,
  type listProvisioningRequests,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  type ProvisioningPlan,
  type ProvisioningRequestView,
  type SignetEvent,
  type stopProvisioningRequest,
} from '@signet/contracts';
import { insertIfAbsent } from '@signet/store';
import { pageOf } from '../documents/documents.ts';
import { newRequest, type ProvisioningRequest, type Requests, requestView } from './provisioning-request.ts';
import { abandon, isFinal, progress, stop } from './transitions.ts';

type RequestContext = { readonly requests: Requests; readonly now: () => number };

/**
 * Creates the request of a device. A device has one open request at a time: another is rejected, or with `overwrite` stops
 * the one before it. @throws OperationError `request-exists`, `invalid-input`
 */
export async function createRequest(
  { requests, now }: RequestContext,
  plan: ProvisioningPlan & { readonly account: string; readonly by: string },
): Promise<OperationOutput<typeof createProvisioningRequest>> {
  checkPlan(plan, now());
  const { account, deviceId, by, overwrite } = plan;
  for (;;) {
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
    // its number is its id: of two that are created at once one finds the other
    if (await insertIfAbsent(requests, request, events))
      return { requestId: request.requestId, expiresOn: request.expiresOn, ...made };
  }
}

function checkPlan(plan: ProvisioningPlan, now: number): void {
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

export async function listRequests(
  { requests }: Pick<RequestContext, 'requests'>,
  { account, deviceId, state, limit, cursor }: ParsedInput<typeof listProvisioningRequests>,
): Promise<OperationOutput<typeof listProvisioningRequests>> {
  const by =
    deviceId !== undefined
      ? ({ index: 'byDevice', equals: { account, deviceId } } as const)
      : state !== undefined
        ? ({ index: 'byState', equals: { account, state } } as const)
        : ({ index: 'byRequest', equals: { account } } as const);
  const page = await pageOf(requests, { ...by, limit, descending: true, cursor }, requestView);
  return { ...page, items: page.items.filter((request) => state === undefined || request.state === state) };
}

/** @throws OperationError `unknown-request` */
export async function getRequest(
  ctx: Pick<RequestContext, 'requests'>,
  asked: ParsedInput<typeof getProvisioningRequest>,
): Promise<ProvisioningRequestView> {
  return requestView(await requireRequest(ctx, asked));
}

/** @throws OperationError `unknown-request`, `illegal-transition` */
export async function stopRequest(
  ctx: RequestContext,
  { account, requestId, by, reason }: ParsedInput<typeof stopProvisioningRequest>,
): Promise<ProvisioningRequestView> {
  const { id } = await requireRequest(ctx, { account, requestId });
  return requestView(
    await ctx.requests.update(id, (current) => stop(current, { by, reason, now: ctx.now() })),
  );
}

export async function findRequest(
  { requests }: Pick<RequestContext, 'requests'>,
  { account, requestId }: { readonly account: string; readonly requestId: string },
): Promise<ProvisioningRequest | undefined> {
  const page = await requests.find({ index: 'byRequest', equals: { account, requestId }, limit: 1 });
  return page.items[0];
}

async function requireRequest(
  ctx: Pick<RequestContext, 'requests'>,
  asked: { readonly account: string; readonly requestId: string },
): Promise<ProvisioningRequest> {
  const request = await findRequest(ctx, asked);
  if (request !== undefined) return request;
  const message = `requestId: account "${asked.account}" has no provisioning request "${asked.requestId}"`;
  throw new OperationError('unknown-request', message, { field: 'requestId' });
}

/** What a device does after its handoff moves its request on too: its config is applied, its first session begins. */
export async function noteDeviceProgress(
  { requests, now }: RequestContext,
  event: SignetEvent<'DEVICE_CONFIG_APPLIED' | 'DEVICE_CONNECTED'>,
): Promise<void> {
  const { id: appliedEvent, account, subject: deviceId, time } = event;
  const { items } = await requests.find({
    ...{ index: 'byDevice', equals: { account, deviceId }, descending: true, limit: 1 },
  });
  const [request] = items;
  if (request === undefined || isFinal(request)) return;
  await requests.update(
    request.id,
    (current) => {
      const { handedOverAt = '9', configVersion = Number.POSITIVE_INFINITY } = current;
      if (time < handedOverAt) return undefined;
      if (event.type === 'DEVICE_CONNECTED') return progress(current, { state: 'COMPLETED', now: now() });
      return event.data.version >= configVersion
        ? progress(current, { state: 'CONF_UPDATED', now: now() })
        : undefined;
    },
    { appliedEvent },
  );
}

/** Requests whose window has closed become ABANDONED. */
export async function abandonExpiredRequests({ requests, now }: RequestContext): Promise<void> {
  const to = new Date(now()).toISOString();
  for (;;) {
    const { items, next } = await requests.find({ index: 'byEnd', to, limit: 200 });
    for (const { id } of items) await requests.update(id, (current) => abandon(current, now()));
    if (next === undefined) return;
  }
}
