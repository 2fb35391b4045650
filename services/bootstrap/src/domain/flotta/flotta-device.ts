import { newEvent, renewDevice } from '@signet/contracts';
import type { Change } from '@signet/store';
import type { DeviceRecord, Devices } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { byDeviceId } from '../device/find-device.ts';
import { advance } from '../device/transitions.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { type AskContext, askForRegistration } from '../registration/ask-for-registration.ts';
import {
  type Certified,
  type CertifyContext,
  certifyRegistered,
} from '../registration/certify-registered.ts';
import {
  alreadyRegistered,
  requireNotDeclined,
  requireRegisteredDevice,
} from '../registration/collect-bootstrap.ts';
import { deviceIdOf, readCsr } from '../registration/csr.ts';
import { SIGN_DEADLINE } from '../registration/register-device.ts';
import { requireActiveCertificate, requireMayRegister } from '../registration/registration-certificate.ts';
import { isExpired, requestIdOf } from '../registration/registration-request.ts';

export type FlottaContext = AskContext & CertifyContext & Pick<Context, 'certificates'>;

/** The holder of a registration certificate, which speaks for no device: the path names one. */
export type Newcomer = {
  readonly kind: 'newcomer';
  readonly account: string;
  readonly fingerprint: string;
  readonly address: string;
};

/** A device with its own certificate, which alone identifies it. */
export type OwnDevice = {
  readonly kind: 'device';
  readonly account: string;
  readonly deviceId: string;
  readonly fingerprint: string;
  readonly serialNumber: string;
  readonly publicKeyHash: string;
};

/** What the enrolment directive says. */
export type Enrolment = {
  readonly namespace: string;
  readonly details: Readonly<Record<string, string>>;
};

/**
 * Directive `enrolment`: `asked` while an operator has not decided, `known` once the device may register or is one.
 * @throws RegistrationError
 */
export async function enrolFlottaDevice(
  ctx: FlottaContext,
  newcomer: Newcomer,
  deviceId: string,
  { namespace, details }: Enrolment,
): Promise<'asked' | 'known'> {
  const certificate = await requireActiveCertificate(ctx.certificates, newcomer);
  const document = await askForRegistration(ctx, {
    certificate,
    deviceId,
    protocol: 'flotta',
    details,
    group: namespace,
    address: newcomer.address,
  });
  requireNotDeclined(document);
  if (document.state === 'waiting') return 'asked';
  if (document.state === 'issued') {
    const { state } = await requireRegisteredDevice(ctx.devices, document);
    if (state === 'active') throw alreadyRegistered(document);
  }
  return 'known';
}

/**
 * Directive `registration` with the registration certificate: the operational certificate, or nothing as long as it is
 * not approved.
 * @throws RegistrationError
 */
export async function registerFlottaDevice(
  ctx: FlottaContext,
  newcomer: Newcomer,
  deviceId: string,
  pem: string,
): Promise<Pick<Certified, 'certificate'> | undefined> {
  const { account } = newcomer;
  const certificate = await requireActiveCertificate(ctx.certificates, newcomer);
  requireMayRegister(certificate, deviceId);
  const document = await ctx.registrations.get(requestIdOf({ account, deviceId }));
  if (document === undefined || isExpired(document, ctx.now()) || document.state === 'waiting')
    return undefined;
  const read = readCsr(pem);
  deviceIdOf(read, deviceId);
  return certifyRegistered(ctx, document, { pem, read });
}

/** Directive `registration` with the device's own certificate, expired or not: it renews. @throws RegistrationError */
export async function renewFlottaDevice(
  ctx: Pick<Context, 'bus' | 'devices' | 'now'>,
  device: OwnDevice,
  pem: string,
): Promise<Pick<Certified, 'certificate'>> {
  const { account, deviceId, fingerprint, serialNumber } = device;
  await recordFlottaContact(ctx, device);
  deviceIdOf(readCsr(pem), deviceId);
  return ctx.bus.request(
    renewDevice,
    { account, deviceId, fingerprint, serialNumber, csr: pem },
    SIGN_DEADLINE,
  );
}

/**
 * A device came with its own certificate, whatever for: the first time makes it active, and the registration certificate
 * is no more use for it. The first time with each certificate is an event, by which those before it are superseded.
 * @throws RegistrationError `blocked`, `retired`, `bad-identity`
 */
export async function recordFlottaContact(
  { devices, now }: Pick<Context, 'devices' | 'now'>,
  device: FlottaContact,
): Promise<void> {
  const record = await requireOwnDevice(devices, device);
  if (contactChange(record, device, now()) === undefined) return;
  await devices.update(record.id, (current) => contactChange(current, device, now()));
}

/** The device and certificate of a contact. */
export type FlottaContact = Pick<OwnDevice, 'account' | 'deviceId' | 'serialNumber' | 'publicKeyHash'>;

function contactChange(
  record: DeviceRecord,
  contact: FlottaContact,
  now: number,
): Change<DeviceRecord> | undefined {
  const { account, deviceId, serialNumber, publicKeyHash } = contact;
  if (record.account !== account || record.deviceId !== deviceId) return undefined;
  const step = advance(record, 'active');
  if (record.seenCertificate === serialNumber) return step;
  const data = { deviceId, serialNumber, publicKeyHash };
  const facts = { account, subject: deviceId, data, time: now, service: 'bootstrap' } as const;
  return {
    document: { ...(step?.document ?? record), seenCertificate: serialNumber },
    events: [...(step?.events ?? []), newEvent('DEVICE_SEEN', facts)],
  };
}

/** Whether a device was removed for good, and must disconnect. A blocked device does not. */
export async function isRemoved(
  devices: Pick<Devices, 'find'>,
  device: Pick<OwnDevice, 'account' | 'deviceId'>,
): Promise<boolean> {
  return (await byDeviceId(devices, device.account, device.deviceId))?.state === 'retired';
}

async function requireOwnDevice(
  devices: Pick<Devices, 'find'>,
  named: Pick<OwnDevice, 'account' | 'deviceId'>,
): Promise<DeviceRecord> {
  const record = await byDeviceId(devices, named.account, named.deviceId);
  if (record === undefined)
    throw new RegistrationError('bad-identity', `deviceId: account "${named.account}" has no such device`);
  const { state, reason = 'no reason given' } = record;
  if (state === 'blocked' || state === 'retired')
    throw new RegistrationError(state, `device: "${named.deviceId}" is ${state}: ${reason}`);
  return record;
}
