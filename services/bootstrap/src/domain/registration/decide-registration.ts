import { newEvent } from '@signet/contracts';
import type {
  Devices,
  RegistrationCertificates,
  RegistrationDocument,
  Registrations,
} from '../../collections.ts';
import { RegistrationError } from '../errors.ts';
import { requireFreeId } from './register-device.ts';
import { isExpired, requestFacts } from './registration-request.ts';
import { withDeviceNumber } from './request-limits.ts';

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
export async function decideRegistration(
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
  const now = deps.now();
  const write = (deviceNumber?: number) =>
    deps.registrations.update(requestId, (current) =>
      applyDecision(current, decision, { now, deviceNumber }),
    );
  return deps.inTurn(found.certificateId, async () => {
    const { state } = (await deps.registrations.get(requestId)) ?? found;
    if (!decision.approved || state === 'approved' || state === 'issued') return write();
    const { fingerprint, deviceNumber } = found;
    await requireFreeId(deps.devices, found, fingerprint);
    if (fingerprint !== undefined) return write(deviceNumber);
    const certificate = await deps.certificates.get(found.certificateId);
    return withDeviceNumber(deps.registrations, certificate, write);
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
