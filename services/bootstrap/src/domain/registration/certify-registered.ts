import { certifyDevice, getDeviceKeys, OperationError, revokeCertificates } from '@signet/contracts';
import { type Csr, newSerialNumber } from '@signet/pki';
import type { DeviceRecord, RegistrationDocument } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { placeOf } from '../device/reset.ts';
import { RegistrationError } from '../refusals/errors.ts';
import {
  alreadyRegistered,
  deviceOfRegistration,
  issuedRegistration,
  requireNotDeclined,
  requireRegisteredDevice,
} from './collect-bootstrap.ts';
import { registerDevice, SIGN_DEADLINE } from './register-device.ts';
import { wasReset } from './registration-request.ts';

/** How long after its registration a device that was not seen yet may come with another key: its answer was lost. */
export const LOST_ANSWER_MS = 600_000;

/** An operational certificate with its issuers and the roots of its account, PEM. */
export type Certified = {
  readonly certificate: string;
  readonly chain: readonly string[];
  readonly trustAnchors: readonly string[];
};

export type CertifyContext = Pick<Context, 'registrations' | 'devices' | 'bus' | 'accountStates' | 'now'>;

/**
 * The operational certificate of a registration, for protocols that give that one; undefined while it waits. The first
 * key that comes after the approval is the device's. Until the device was seen with its certificate, at whichever
 * listener, the same key gets it again; and, within ten minutes, another key takes its place: devices that make a new key
 * for every attempt would never get in after one lost answer. After a reset nothing is given before another approval.
 * @throws RegistrationError `declined`, `blocked`, `retired`, `device-id-taken` once the device was seen
 */
export async function certifyRegistered(
  ctx: CertifyContext,
  document: RegistrationDocument,
  csr: { readonly pem: string; readonly read: Csr },
): Promise<Certified | undefined> {
  if (document.state === 'waiting') return undefined;
  requireNotDeclined(document);
  if (document.state === 'approved')
    return issueCertificate(ctx, await bindFirstKey(ctx, document, csr), csr.pem);
  const record = await requireRegisteredDevice(ctx.devices, document);
  if (wasReset(document, record)) return undefined;
  return issueCertificate(ctx, await rebindKey(ctx, document, csr.read, record), csr.pem);
}

async function issueCertificate(
  { bus, devices }: CertifyContext,
  document: RegistrationDocument,
  csr: string,
): Promise<Certified> {
  const { account, deviceId, serialNumber = '', group, fingerprint = '' } = document;
  const unit = group === undefined ? {} : { organizationalUnit: group };
  const record = await devices.get(fingerprint);
  const made = await certify(bus, { account, deviceId, csr, serialNumber, ...placeOf(record), ...unit });
  // A revocation after this finds the certificate; one before it did not, so the device is read again.
  const now = await devices.get(fingerprint);
  const isOut = now === undefined || now.state === 'blocked' || now.state === 'retired';
  if (!isOut && now.account === account && now.onboardingSince === record?.onboardingSince) return made;
  await supersede(bus, { account, serialNumber });
  await requireRegisteredDevice(devices, document);
  throw alreadyRegistered(document);
}

async function bindFirstKey(
  ctx: CertifyContext,
  document: RegistrationDocument,
  { pem, read }: { readonly pem: string; readonly read: Csr },
): Promise<RegistrationDocument> {
  const { record, chain } =
    document.fingerprint === undefined
      ? await registerDevice(ctx, { ...deviceOfRegistration(document), csr: pem })
      : { record: await requireRegisteredDevice(ctx.devices, document), chain: document.chain ?? [] };
  const key = keyOf(read);
  const settled = await ctx.registrations.update(document.id, (current) =>
    current.state === 'approved'
      ? { document: { ...issuedRegistration(current, record, chain, ctx.now()), ...key } }
      : undefined,
  );
  if (settled.publicKeyHash === read.publicKeyHash) return settled;
  throw new RegistrationError('another-key', 'csr: another key was first', { field: 'csr' });
}

async function rebindKey(
  ctx: CertifyContext,
  document: RegistrationDocument,
  csr: Csr,
  record: DeviceRecord,
): Promise<RegistrationDocument> {
  if (record.state === 'active') throw alreadyRegistered(document);
  if (document.publicKeyHash === csr.publicKeyHash) return document;
  const age = ctx.now() - Date.parse(document.issuedAt ?? '');
  if (age > LOST_ANSWER_MS || (await wasSeen(ctx.bus, document))) throw alreadyRegistered(document);
  // A contact recorded before this write keeps the old key; a later one is too late.
  const rekeyedAt = new Date(ctx.now()).toISOString();
  await ctx.devices.update(record.id, (current) => {
    const isUnseen = current.state === 'claimed' || current.state === 'enrolled';
    if (!isUnseen || current.account !== document.account) throw alreadyRegistered(document);
    return { document: { ...current, rekeyedAt } };
  });
  const { account, serialNumber } = document;
  if (serialNumber !== undefined) await supersede(ctx.bus, { account, serialNumber });
  const key = { ...keyOf(csr), issuedAt: rekeyedAt };
  const settled = await ctx.registrations.update(document.id, (current) =>
    current.state === 'issued' && current.serialNumber === serialNumber
      ? { document: { ...current, ...key } }
      : undefined,
  );
  if (settled.publicKeyHash === csr.publicKeyHash) return settled;
  throw new RegistrationError('another-key', 'csr: another key was first', { field: 'csr' });
}

function keyOf({ publicKeyHash, keyType }: Csr) {
  return { publicKeyHash, keyType, serialNumber: newSerialNumber() };
}

type CertifyWanted = Omit<InputOf<typeof certifyDevice>, 'organizationalUnit'> & {
  readonly organizationalUnit?: string;
};

/** The same serial number and key give the same certificate. @throws RegistrationError what `est-ca` has against it */
export async function certify(bus: Context['bus'], wanted: CertifyWanted): Promise<Certified> {
  try {
    return await bus.request(certifyDevice, wanted, SIGN_DEADLINE);
  } catch (cause) {
    const code = cause instanceof OperationError ? certifyErrorCodes[cause.code] : undefined;
    if (code === undefined || !(cause instanceof OperationError)) throw cause;
    throw new RegistrationError(code, cause.message, { cause });
  }
}

const certifyErrorCodes: Readonly<Record<string, 'malformed-request' | 'revoked' | 'declined' | undefined>> =
  {
    'bad-csr': 'malformed-request',
    revoked: 'revoked',
    refused: 'declined',
    'unknown-profile': 'declined',
  };

/** Revokes a certificate in whose place another one comes, or all that the device has. */
export async function supersede(
  bus: Context['bus'],
  which: { readonly account: string } & ({ readonly serialNumber: string } | { readonly deviceId: string }),
): Promise<void> {
  await bus.request(revokeCertificates, { ...which, reason: 'superseded', by: 'registration' });
}

/** Whether the device came to broker or gateway with the key of its registration; `provisioning` knows. */
export async function wasSeen(
  bus: Context['bus'],
  device: Pick<RegistrationDocument, 'account' | 'deviceId' | 'publicKeyHash'>,
): Promise<boolean> {
  const { account, deviceId, publicKeyHash } = device;
  try {
    const { seen } = await bus.request(getDeviceKeys, { account, deviceId });
    return seen !== undefined && seen === publicKeyHash;
  } catch (error) {
    if (error instanceof OperationError && error.code === 'unknown-device') return false;
    throw error;
  }
}
