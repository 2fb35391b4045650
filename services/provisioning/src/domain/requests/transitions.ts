import { newEvent, OperationError, type ProvisioningState, type SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import type { ProvisioningRequest } from './provisioning-request.ts';

type Step = Change<ProvisioningRequest> | undefined;

const ended = ['FAILED', 'ABANDONED', 'STOPPED'] as const;
/** Where a request may go from each state. */
const next: Readonly<Record<ProvisioningState, readonly ProvisioningState[]>> = {
  CREATED: ['STARTED', ...ended],
  STARTED: ['RUNNING', ...ended],
  RUNNING: ['CONF_UPDATED', 'COMPLETED', ...ended],
  CONF_UPDATED: ['COMPLETED', ...ended],
  COMPLETED: [],
  FAILED: [],
  ABANDONED: [],
  STOPPED: [],
};

export function isFinal({ state }: Pick<ProvisioningRequest, 'state'>): boolean {
  return next[state].length === 0;
}

/** Right credentials of the right device came. A device that comes again changes nothing. */
export function start(request: ProvisioningRequest, now: number): Step {
  requireOpen(request, now);
  return request.state === 'CREATED' ? moveTo(request, 'STARTED', { now }) : undefined;
}

/**
 * The bundle is delivered, with the config at this version. Asking again gives it again, until the request is final.
 * @throws OperationError `request-closed`, `outside-window`, `illegal-transition`
 */
export function run(
  request: ProvisioningRequest,
  facts: { readonly configVersion?: number | undefined; readonly now: number },
): Step {
  requireOpen(request, facts.now);
  const { configVersion } = facts;
  if (request.state === 'RUNNING' || request.state === 'CONF_UPDATED') return undefined;
  const handedOver = {
    ...request,
    handedOverAt: new Date(facts.now).toISOString(),
    ...(configVersion === undefined ? {} : { configVersion }),
  };
  return moveTo(handedOver, 'RUNNING', facts);
}

/** What the device reports, or what an event tells of it. One that comes late, or again, changes nothing. */
export function progress(
  request: ProvisioningRequest,
  facts: {
    readonly state: 'CONF_UPDATED' | 'COMPLETED';
    readonly details?: string | undefined;
    readonly now: number;
  },
): Step {
  if (!next[request.state].includes(facts.state)) return undefined;
  const change = moveTo(request, facts.state, facts);
  if (facts.state !== 'COMPLETED') return change;
  const { account, deviceId, requestId } = request;
  const provisioned = newEvent('DEVICE_PROVISIONED', {
    ...{ account, subject: deviceId, time: facts.now },
    data: { deviceId, requestId },
  });
  return { ...change, events: [...(change.events ?? []), provisioned] };
}

/** An attempt failed: wrong password, or the device says so. The last one that is allowed makes the request FAILED. */
export function fail(
  request: ProvisioningRequest,
  facts: { readonly reason: string; readonly now: number },
): Step {
  if (isFinal(request)) return undefined;
  const failedAttempts = request.failedAttempts + 1;
  const counted = { ...request, failedAttempts, reason: facts.reason };
  if (failedAttempts < request.retryLimit) return { document: counted };
  const reason = `${facts.reason} (attempt ${failedAttempts} of ${request.retryLimit})`;
  return moveTo(counted, 'FAILED', { ...facts, reason });
}

/** Its window closed before it was completed. */
export function abandon(request: ProvisioningRequest, now: number): Step {
  if (isFinal(request) || now < Date.parse(request.expiresOn)) return undefined;
  return moveTo(request, 'ABANDONED', { now, reason: `its window closed in state ${request.state}` });
}

/** @throws OperationError `illegal-transition` for one that is final */
export function stop(
  request: ProvisioningRequest,
  facts: { readonly by: string; readonly reason?: string | undefined; readonly now: number },
): Step {
  if (request.state === 'STOPPED') return undefined;
  const reason = facts.reason === undefined ? `by ${facts.by}` : `by ${facts.by}: ${facts.reason}`;
  return moveTo(request, 'STOPPED', { ...facts, reason });
}

/** @throws OperationError `request-closed`, `outside-window` */
export function requireOpen(request: ProvisioningRequest, now: number): void {
  const { clientId, state, reason, activatesOn, expiresOn } = request;
  if (isFinal(request)) {
    const why = reason === undefined ? '' : `: ${reason}`;
    throw new OperationError('request-closed', `request: that of "${clientId}" is ${state}${why}`);
  }
  if (now < Date.parse(activatesOn))
    throw new OperationError('outside-window', `request: that of "${clientId}" opens at ${activatesOn}`);
  if (now >= Date.parse(expiresOn))
    throw new OperationError('outside-window', `request: that of "${clientId}" closed at ${expiresOn}`);
}

function moveTo(
  request: ProvisioningRequest,
  state: ProvisioningState,
  facts: { readonly now: number; readonly reason?: string; readonly details?: string | undefined },
): Change<ProvisioningRequest> & { readonly events: readonly SignetEvent[] } {
  const { account, deviceId, requestId, openUntil: _openUntil, reason: _reason, ...rest } = request;
  if (!next[request.state].includes(state)) {
    const message = `state: a provisioning request cannot go from ${request.state} to ${state}`;
    throw new OperationError('illegal-transition', message);
  }
  const { now, reason, details } = facts;
  const document: ProvisioningRequest = {
    ...{ ...rest, account, deviceId, requestId, state },
    changedAt: new Date(now).toISOString(),
    ...(reason === undefined ? {} : { reason }),
    ...(next[state].length === 0 ? {} : { openUntil: request.expiresOn }),
  };
  const why = reason ?? details;
  const data = {
    ...{ deviceId, requestId, from: request.state, state },
    ...(why === undefined ? {} : { details: why }),
  };
  const event = newEvent('PROVISIONING_CHANGED', { account, subject: deviceId, time: now, data });
  return { document, events: [event] };
}
