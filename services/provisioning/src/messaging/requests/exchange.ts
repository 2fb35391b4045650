import type { Bus, Subscription } from '@signet/bus';
import {
  authenticateProvisioning,
  type Bundle,
  type ConfigFile,
  completeProvisioning,
  type Device,
  getDevice,
  handOverDevice,
  identifyDevices,
  OperationError,
  type OperationInput,
  reportProvisioning,
} from '@signet/contracts';
import { isPassword } from '../../domain/requests/password.ts';
import type { ProvisioningRequest } from '../../domain/requests/provisioning-request.ts';
import { RequestError } from '../../domain/requests/request-error.ts';
import { demandOpen, fail, isFinal, progress, run, start } from '../../domain/requests/transitions.ts';
import { allOf } from '../pages.ts';
import { byRequestId, type Requests } from './operators.ts';

export type ExchangeDeps = {
  readonly bus: Bus;
  readonly requests: Requests;
  /** Merges these files into the device's config. */
  readonly writeConfig: (
    device: { readonly account: string; readonly deviceId: string },
    files: readonly ConfigFile[],
    by: string,
  ) => Promise<{ readonly version: number }>;
  readonly now: () => number;
};

/** The exchange on the MQTT provisioning listener: a matching request first, then the bundle (F17, F18, F26). */
export async function serveExchange(deps: ExchangeDeps): Promise<Subscription[]> {
  const { bus, requests, now } = deps;
  return [
    await bus.serve(authenticateProvisioning, (input) => typed(() => authenticate(deps, input))),
    await bus.serve(completeProvisioning, (input) => typed(() => handOver(deps, input))),
    await bus.serve(reportProvisioning, async ({ progress: said, ...applicant }) => {
      const request = await requestOf(deps, applicant);
      const { state, details } = said;
      const reason = `the device: ${details ?? 'it failed'}`;
      const after = await requests.update(request.id, (current) =>
        state === 'FAILED'
          ? fail(current, { reason, now: now() })
          : progress(current, { state, details, now: now() }),
      );
      return { state: after.state };
    }),
  ];
}

/**
 * First the certificate: a password is tried only for the device that it is for, so that no other device can guess it,
 * or use its attempts up. Whoever guesses many at a time gets no more tries: the last look is at the update.
 */
async function authenticate(
  deps: ExchangeDeps,
  { fingerprint, clientId, username, password }: OperationInput<typeof authenticateProvisioning>,
) {
  const { requests, now } = deps;
  const own = await openRequestsOf(deps, fingerprint, clientId);
  if (own.length === 0) {
    const { items: others } = await requests.find({ index: 'open', equals: { clientId }, limit: 1 });
    throw others.length === 0 ? await noneOpen(requests, clientId) : otherDevice(clientId);
  }
  for (const request of own) {
    if (!(await isPassword(request.password, password)) || request.username !== username) continue;
    const { account, deviceId, requestId } = await requests.update(request.id, (current) =>
      start(current, now()),
    );
    return { account, deviceId, clientId, requestId };
  }
  const charged = own.filter((request) => request.username === username);
  const facts = { reason: 'wrong password', now: now() };
  await Promise.all(charged.map(({ id }) => requests.update(id, (current) => fail(current, facts))));
  throw new OperationError('wrong-password', `username: wrong user name or password for "${clientId}"`);
}

/** Nothing is written or handed over before it is known to be for the device that the request is for. */
async function handOver(
  deps: ExchangeDeps,
  input: OperationInput<typeof completeProvisioning>,
): Promise<Bundle> {
  const { bus, requests, writeConfig, now } = deps;
  const { account, deviceId, fingerprint, csr } = input;
  const request = await requestOf(deps, input);
  demandOpen(request, now());
  const device = await deviceOf(deps, request, fingerprint);
  if (device === undefined) throw otherDevice(request.clientId);
  demandUnprovisioned(request, device);
  const bundle = await bus.request(handOverDevice, {
    fingerprint,
    ...(csr === undefined ? {} : { csr }),
  });
  if (bundle.account !== account || bundle.deviceId !== deviceId) throw otherDevice(request.clientId);
  const { config, requestId } = request;
  const configVersion =
    config.length === 0
      ? undefined
      : (request.configVersion ??
        (await writeConfig({ account, deviceId }, config, `provisioning request ${requestId}`)).version);
  await requests.update(request.id, (current) => run(current, { configVersion, now: now() }));
  const files = Object.fromEntries(config.map(({ name, value }) => [name, value]));
  return { ...bundle, config: { ...bundle.config, ...files } };
}

async function requestOf(
  { requests }: ExchangeDeps,
  { account, deviceId, requestId }: { account: string; deviceId: string; requestId: string },
): Promise<ProvisioningRequest> {
  const request = await byRequestId(requests, account, requestId);
  if (request?.deviceId !== deviceId)
    throw new OperationError('unmatched', `requestId: no such request for "${deviceId}"`);
  return request;
}

/** Those of the device that the certificate is of: what other accounts have waiting under the client id is nothing to it. */
async function openRequestsOf(
  { bus, requests }: ExchangeDeps,
  fingerprint: string,
  clientId: string,
): Promise<ProvisioningRequest[]> {
  const { devices } = await bus.request(identifyDevices, { fingerprints: [fingerprint] });
  const own: ProvisioningRequest[] = [];
  for (const { account: owner, factoryAccount, deviceId } of devices) {
    const account = owner ?? factoryAccount;
    const query = { index: 'byDevice', equals: { account, deviceId } } as const;
    for await (const request of allOf(requests, query))
      if (request.clientId === clientId && !isFinal(request)) own.push(request);
  }
  return own;
}

/** The request's device, if this is its bootstrap certificate. */
async function deviceOf(
  { bus }: ExchangeDeps,
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

/** A device that is at work is not provisioned again by mistake: the bundle would void what it has. */
function demandUnprovisioned({ clientId, state, overwrite }: ProvisioningRequest, device: Device): void {
  const isAtWork = device.state === 'enrolled' || device.state === 'active';
  if (!isAtWork || overwrite || state === 'RUNNING' || state === 'CONF_UPDATED') return;
  const message = `request: "${clientId}" is ${device.state} already, and its request does not say overwrite`;
  throw new OperationError('already-provisioned', message);
}

async function noneOpen(requests: Requests, clientId: string): Promise<OperationError> {
  const { items } = await requests.find({
    index: 'byClient',
    equals: { clientId },
    descending: true,
    limit: 1,
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

async function typed<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new OperationError(error.code, error.message, { cause: error });
  }
}
