import { newEvent, type ProvisioningPlan, type SignetEvent, uuidv7 } from '@signet/contracts';
import { hashPassword, randomActivationKey } from './password.ts';
import type { ProvisioningRequest } from './provisioning-request.ts';

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
