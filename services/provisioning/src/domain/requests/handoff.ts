import {
  type authenticateProvisioning,
  type Bundle,
  type completeProvisioning,
  type Device,
  getDevice,
  handOverDevice,
  identifyDevices,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  type reportProvisioning,
} from '@signet/contracts';
import { all } from '@signet/store';
import { changeConfig } from '../config/change-config.ts';
import { changeOwn } from '../config/device-config.ts';
import type { LayerStore } from '../config/readers.ts';
import type { Asks } from '../devices/known-devices.ts';
import { isPassword } from './password.ts';
import type { ProvisioningRequest, Requests } from './provisioning-request.ts';
import { findRequest } from './requests.ts';
import { fail, isFinal, progress, requireOpen, run, start } from './transitions.ts';

type HandoffContext = Asks & { readonly requests: Requests; readonly now: () => number };

/**
 * A device on the MQTT provisioning listener authenticates (F17, F18, F26). The certificate comes first: a password is
 * tried only for the device that it is for, so that no other device can guess it, or use up its attempts. Many guesses at
 * a time get no more tries, as the number of attempts is checked inside the update.
 * @throws OperationError `unmatched`, `wrong-password`, `request-closed`, `outside-window`
 */
export async function authenticateRequest(
  ctx: HandoffContext,
  { fingerprint, clientId, username, password }: ParsedInput<typeof authenticateProvisioning>,
): Promise<OperationOutput<typeof authenticateProvisioning>> {
  const { requests, now } = ctx;
  // 1. The open requests of the device that the certificate is of.
  const own = await openRequestsOf(ctx, { fingerprint, clientId });
  if (own.length === 0) {
    const { items: others } = await requests.find({ index: 'open', equals: { clientId }, limit: 1 });
    throw others.length === 0 ? await noneOpen(ctx, clientId) : otherDevice(clientId);
  }
  // 2. The one that has these credentials is started.
  for (const request of own) {
    if (!(await isPassword(request.password, password)) || request.username !== username) continue;
    const { account, deviceId, requestId } = await requests.update(request.id, (current) =>
      start(current, now()),
    );
    return { account, deviceId, clientId, requestId };
  }
  // 3. Else each of them has one attempt less.
  const charged = own.filter((request) => request.username === username);
  const facts = { reason: 'wrong password', now: now() };
  await Promise.all(charged.map(({ id }) => requests.update(id, (current) => fail(current, facts))));
  throw new OperationError('wrong-password', `username: wrong user name or password for "${clientId}"`);
}

/**
 * Hands the bundle to the device of a request. Nothing is written or delivered before it is known to be for that device.
 * @throws OperationError as the operation says
 */
export async function completeRequest(
  ctx: HandoffContext & LayerStore,
  input: ParsedInput<typeof completeProvisioning>,
): Promise<Bundle> {
  const { account, deviceId, fingerprint, csr } = input;
  // 1. The request is open, and the device not in use already.
  const request = await requireRequestOf(ctx, input);
  requireOpen(request, ctx.now());
  const device = await deviceOf(ctx, request, fingerprint);
  if (device === undefined) throw otherDevice(request.clientId);
  requireUnprovisioned(request, device);
  // 2. Bootstrap hands the device over, to the same owner.
  const bundle = await ctx.bus.request(handOverDevice, {
    fingerprint,
    ...(csr === undefined ? {} : { csr }),
  });
  if (bundle.account !== account || bundle.deviceId !== deviceId) throw otherDevice(request.clientId);
  // 3. The config that the request has becomes the device's own, once.
  const configVersion = await writeRequestConfig(ctx, request);
  await ctx.requests.update(request.id, (current) => run(current, { configVersion, now: ctx.now() }));
  const files = Object.fromEntries(request.config.map(({ name, value }) => [name, value]));
  return { ...bundle, config: { ...bundle.config, ...files } };
}

async function writeRequestConfig(
  ctx: LayerStore & { readonly now: () => number },
  { account, deviceId, requestId, config, configVersion }: ProvisioningRequest,
): Promise<number | undefined> {
  if (config.length === 0 || configVersion !== undefined)
    return config.length === 0 ? undefined : configVersion;
  const reason = `provisioning request ${requestId}`;
  const change = { set: config, by: 'provisioning', reason, now: ctx.now() };
  const { version } = await changeConfig(ctx, { account, deviceId }, (held) => changeOwn(held, change));
  return version;
}

/** The device reports how far it is. @throws OperationError `unmatched` */
export async function reportProgress(
  ctx: Pick<HandoffContext, 'requests' | 'now'>,
  { progress: { state, details }, ...device }: ParsedInput<typeof reportProvisioning>,
): Promise<OperationOutput<typeof reportProvisioning>> {
  const request = await requireRequestOf(ctx, device);
  const reason = `the device: ${details ?? 'it failed'}`;
  const after = await ctx.requests.update(request.id, (current) =>
    state === 'FAILED'
      ? fail(current, { reason, now: ctx.now() })
      : progress(current, { state, details, now: ctx.now() }),
  );
  return { state: after.state };
}

async function requireRequestOf(
  ctx: Pick<HandoffContext, 'requests'>,
  { account, deviceId, requestId }: { account: string; deviceId: string; requestId: string },
): Promise<ProvisioningRequest> {
  const request = await findRequest(ctx, { account, requestId });
  if (request?.deviceId === deviceId) return request;
  throw new OperationError('unmatched', `requestId: no such request for "${deviceId}"`);
}

/** Requests that other accounts have waiting under the same client id do not count. */
async function openRequestsOf(
  { bus, requests }: HandoffContext,
  { fingerprint, clientId }: { readonly fingerprint: string; readonly clientId: string },
): Promise<ProvisioningRequest[]> {
  const { devices } = await bus.request(identifyDevices, { fingerprints: [fingerprint] });
  const own: ProvisioningRequest[] = [];
  for (const { account: owner, factoryAccount, deviceId } of devices) {
    const account = owner ?? factoryAccount;
    const query = { index: 'byDevice', equals: { account, deviceId } } as const;
    for await (const request of all(requests, query))
      if (request.clientId === clientId && !isFinal(request)) own.push(request);
  }
  return own;
}

/** The request's device, if this is its bootstrap certificate. */
async function deviceOf(
  { bus }: Asks,
  { account, deviceId }: ProvisioningRequest,
  fingerprint: string,
): Promise<Device | undefined> {
  try {
    const device = await bus.request(getDevice, { account, fingerprint });
    return device.deviceId === deviceId ? device : undefined;
  } catch (error) {
    if (!(error instanceof OperationError) || error.code !== 'unknown-device') throw error;
    return undefined;
  }
}

/** A device in use is not provisioned again by mistake: the bundle would void what it has. */
function requireUnprovisioned({ clientId, state, overwrite }: ProvisioningRequest, device: Device): void {
  const isInUse = device.state === 'enrolled' || device.state === 'active';
  if (!isInUse || overwrite || state === 'RUNNING' || state === 'CONF_UPDATED') return;
  const message = `request: "${clientId}" is ${device.state} already, and its request does not say overwrite`;
  throw new OperationError('already-provisioned', message);
}

async function noneOpen(
  { requests }: Pick<HandoffContext, 'requests'>,
  clientId: string,
): Promise<OperationError> {
  const { items } = await requests.find({
    ...{ index: 'byClient', equals: { clientId }, descending: true, limit: 1 },
  });
  const [last] = items;
  if (last === undefined)
    return new OperationError('unmatched', `clientId: no provisioning request waits for "${clientId}"`);
  const why = last.reason === undefined ? '' : `: ${last.reason}`;
  const message = `clientId: the provisioning request of "${clientId}" is ${last.state}${why}`;
  return new OperationError('request-closed', message);
}

function otherDevice(clientId: string): OperationError {
  const message = `fingerprint: the certificate is that of another device than "${clientId}", or not claimed`;
  return new OperationError('unmatched', message);
}
