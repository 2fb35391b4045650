import { newEvent } from '@signet/contracts';
import { type Devices, requireFreeId } from './device.ts';
import { requireBudget } from './limits.ts';
import type { RegistrationCertificates } from './registration-certificate.ts';
import { RegistrationError } from './registration-error.ts';
import {
  isExpired,
  type RegistrationDocument,
  type Registrations,
  requestFacts,
} from './registration-request.ts';

export type Decision = { readonly by: string } & (
  | { readonly approved: true }
  | { readonly approved: false; readonly reason: string }
);

type Deps = {
  readonly registrations: Registrations;
  readonly certificates: Pick<RegistrationCertificates, 'get'>;
  readonly devices: Pick<Devices, 'get' | 'find'>;
  readonly inTurn: <T>(key: string, step: () => Promise<T>) => Promise<T>;
  readonly now: () => number;
};

/**
 * Approves or declines. A decision may be changed until the certificate is out; made twice, it changes nothing.
 * @throws RegistrationError `unknown-request`, `request-decided`, `request-expired`, `device-id-taken`, `limit-reached`
 */
export async function decide(
  deps: Deps,
  { account, requestId }: { readonly account: string; readonly requestId: string },
  decision: Decision,
): Promise<RegistrationDocument> {
  const found = await deps.registrations.get(requestId);
  if (found?.account !== account)
    throw new RegistrationError(
      'unknown-request',
      `requestId: account "${account}" has no request "${requestId}"`,
      { field: 'requestId' },
    );
  return deps.inTurn(found.certificateId, async () => {
    if (decision.approved && found.state !== 'approved' && found.state !== 'issued') {
      await requireFreeId(deps.devices, found);
      const certificate = await deps.certificates.get(found.certificateId);
      if (certificate !== undefined) await requireBudget(deps.registrations, certificate);
    }
    const now = deps.now();
    return deps.registrations.update(requestId, (current) => decided(current, decision, now));
  });
}

function decided(current: RegistrationDocument, decision: Decision, now: number) {
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
  const { reason: _reason, ...rest } = current;
  const because = approved ? {} : { reason: decision.reason };
  const document: RegistrationDocument = {
    ...rest,
    state,
    decidedAt: new Date(now).toISOString(),
    decidedBy: by,
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
