import type * as operations from '@signet/contracts';
import { newEvent } from '@signet/contracts';
import type { RegistrationDocument } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { readPage, viewsOf } from '../documents/documents.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { requireFreeId } from './register-device.ts';
import { isExpired, requestFacts, requestView } from './registration-request.ts';
import { withDeviceNumber } from './request-limits.ts';

export type Decision = { readonly by: string } & (
  | { readonly approved: true }
  | { readonly approved: false; readonly reason: string }
);

type DecideContext = Pick<Context, 'registrations' | 'certificates' | 'devices' | 'inTurn' | 'now'>;

/**
 * Approves or declines. A decision may be changed until the certificate is out; made twice, it changes nothing.
 * @throws RegistrationError `unknown-request`, `request-decided`, `request-expired`, `device-id-taken`, `limit-reached`
 */
export async function decideRegistration(
  ctx: DecideContext,
  { account, requestId }: { readonly account: string; readonly requestId: string },
  decision: Decision,
): Promise<RegistrationDocument> {
  const found = await ctx.registrations.get(requestId);
  if (found?.account !== account)
    throw new RegistrationError(
      'unknown-request',
      `requestId: account "${account}" has no request "${requestId}"`,
      { field: 'requestId' },
    );
  const now = ctx.now();
  const write = (deviceNumber?: number) =>
    ctx.registrations.update(requestId, (current) => applyDecision(current, decision, { now, deviceNumber }));
  return ctx.inTurn(found.certificateId, async () => {
    const { state } = (await ctx.registrations.get(requestId)) ?? found;
    if (!decision.approved || state === 'approved' || state === 'issued') return write();
    const { fingerprint, deviceNumber } = found;
    await requireFreeId(ctx.devices, found, fingerprint);
    if (fingerprint !== undefined) return write(deviceNumber);
    const certificate = await ctx.certificates.get(found.certificateId);
    return withDeviceNumber(ctx.registrations, certificate, write);
  });
}

function applyDecision(
  current: RegistrationDocument,
  decision: Decision,
  { now, deviceNumber }: { readonly now: number; readonly deviceNumber: number | undefined },
) {
  const { approved, by } = decision;
  const state = approved ? 'approved' : 'declined';
  if (current.state === state || (current.state === 'issued' && approved)) return undefined;
  if (current.state === 'issued')
    throw new RegistrationError(
      'request-decided',
      `requestId: the device "${current.deviceId}" was registered at ${current.issuedAt}; block or retire it instead`,
      { field: 'requestId' },
    );
  if (isExpired(current, now))
    throw new RegistrationError('request-expired', `requestId: it expired at ${current.expiresAt}`, {
      field: 'requestId',
    });
  const { reason: _reason, waitingNumber: _waiting, deviceNumber: _number, ...rest } = current;
  const numbered = deviceNumber === undefined ? {} : { deviceNumber };
  const because = approved ? {} : { reason: decision.reason };
  const document: RegistrationDocument = {
    ...rest,
    state,
    decidedAt: new Date(now).toISOString(),
    decidedBy: by,
    ...numbered,
    ...because,
  };
  const event = newEvent('DEVICE_REGISTRATION_DECIDED', {
    account: current.account,
    subject: current.deviceId,
    time: now,
    data: { ...requestFacts(document), approved, by, ...because },
  });
  return { document, events: [event] };
}

export function approveRegistration(
  ctx: DecideContext,
  { by, ...which }: InputOf<typeof operations.approveRegistration>,
) {
  return decideAndView(ctx, which, { approved: true, by });
}

export function declineRegistration(
  ctx: DecideContext,
  { by, reason, ...which }: InputOf<typeof operations.declineRegistration>,
) {
  return decideAndView(ctx, which, { approved: false, by, reason });
}

async function decideAndView(
  ctx: DecideContext,
  which: { readonly account: string; readonly requestId: string },
  decision: Decision,
) {
  return requestView(await decideRegistration(ctx, which, decision), ctx.now());
}

/** Requests in all states or one. Those that wait past their time are shown as expired. */
export async function listRegistrations(
  { registrations, now }: Pick<Context, 'registrations' | 'now'>,
  { account, state, ...page }: InputOf<typeof operations.listRegistrations>,
) {
  const stored = state === 'expired' ? 'waiting' : state;
  const query =
    stored === undefined
      ? ({ index: 'byAccount', equals: { account } } as const)
      : ({ index: 'byState', equals: { account, state: stored } } as const);
  const { items, ...rest } = await readPage(registrations, query, page);
  const views = viewsOf({ items }, (document) => requestView(document, now())).items;
  return { items: views.filter((view) => state === undefined || view.state === state), ...rest };
}
