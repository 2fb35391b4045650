import {
  Account,
  ConfigFile,
  DeviceId,
  newEvent,
  type ProvisioningPlan,
  type ProvisioningRequestView,
  ProvisioningState,
  type SignetEvent,
  Time,
  uuidv7,
} from '@signet/contracts';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import { hashPassword, PasswordHash, randomActivationKey } from './password.ts';

/**
 * What an operator prepared for one device: who may ask for its bundle over MQTT, when, how often, and with what config.
 * The id is `<account>/<device>/<n>`, the n-th of its device: two that are made at once do not both stand.
 */
export const ProvisioningRequest = z.object({
  id: z.string(),
  requestId: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** What the device calls itself at CONNECT, and in the topics of the exchange. */
  clientId: DeviceId,
  credentials: z.enum(['password', 'activation-key']),
  /** That of an activation key is the client id. */
  username: z.string(),
  password: PasswordHash,
  activatesOn: Time,
  expiresOn: Time,
  retryLimit: z.number().int().min(1),
  failedAttempts: z.number().int().min(0),
  overwrite: z.boolean(),
  config: z.array(ConfigFile),
  /** Version of the device's config with `config` in it; absent until it is delivered. */
  configVersion: z.number().int().optional(),
  handedOverAt: Time.optional(),
  state: ProvisioningState,
  /** Present while it is not final: what the sweep of windows that have closed goes by. */
  openUntil: Time.optional(),
  /** Why it is FAILED or STOPPED, or what the device said of its last failure. */
  reason: z.string().optional(),
  createdAt: Time,
  createdBy: z.string(),
  changedAt: Time,
});
export type ProvisioningRequest = z.infer<typeof ProvisioningRequest>;

export type Requests = Collection<
  ProvisioningRequest,
  'open' | 'byClient' | 'byDevice' | 'byRequest' | 'byState' | 'byEnd'
>;

const DEFAULT_WINDOW_MS = 30 * 86_400_000;

/** The n-th request of a device, as its plan says. `activationKey` is the one that was made, if one was. */
export async function newRequest(
  plan: ProvisioningPlan & { readonly account: string; readonly by: string },
  { n, now }: { readonly n: number; readonly now: number },
): Promise<{
  readonly request: ProvisioningRequest;
  readonly events: readonly SignetEvent[];
  readonly activationKey?: string;
}> {
  const { account, deviceId, by, password, retryLimit, overwrite, config } = plan;
  const { clientId = deviceId, activatesOn = iso(now), expiresOn = iso(now + DEFAULT_WINDOW_MS) } = plan;
  const made = password === undefined && plan.activationKey === undefined ? randomActivationKey() : undefined;
  const secret = password ?? plan.activationKey ?? made ?? '';
  const request: ProvisioningRequest = {
    id: `${account}/${deviceId}/${String(n).padStart(6, '0')}`,
    requestId: uuidv7(now),
    ...{ account, deviceId, clientId, retryLimit, overwrite, config, activatesOn, expiresOn },
    credentials: password === undefined ? 'activation-key' : 'password',
    username: password === undefined ? clientId : (plan.username ?? clientId),
    password: await hashPassword(secret),
    failedAttempts: 0,
    state: 'CREATED',
    openUntil: expiresOn,
    ...{ createdAt: iso(now), createdBy: by, changedAt: iso(now) },
  };
  const data = { deviceId, requestId: request.requestId, state: request.state, details: `by ${by}` };
  const event = newEvent('PROVISIONING_CHANGED', { account, subject: deviceId, time: now, data });
  return { request, events: [event], ...(made === undefined ? {} : { activationKey: made }) };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

/** A request as operators see it: no secret of it, and of its config the names. */
export function requestView({
  id: _id,
  account: _account,
  password: _password,
  openUntil: _openUntil,
  config,
  ...shown
}: ProvisioningRequest): ProvisioningRequestView {
  return { ...shown, config: config.map(({ name }) => name) };
}
