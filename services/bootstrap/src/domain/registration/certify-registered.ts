import { type Csr, newSerialNumber } from '@signet/pki';
import type { DeviceRecord, Devices, RegistrationDocument } from '../../collections.ts';
import { placeOf } from '../device/reset.ts';
import { RegistrationError } from '../errors.ts';
import {
  alreadyRegistered,
  type CollectDeps,
  deviceOfRegistration,
  issuedRegistration,
  requireNotDeclined,
  requireRegisteredDevice,
} from './collect-bootstrap.ts';
import { registerDevice } from './register-device.ts';
import { wasReset } from './registration-request.ts';

/** How long after its registration a device that was not seen yet may come with another key: its answer was lost. */
export const LOST_ANSWER_MS = 600_000;

/** An operational certificate with its issuers and the roots of its account, PEM. */
export type Certified = {
  readonly certificate: string;
  readonly chain: readonly string[];
  readonly trustAnchors: readonly string[];
};

/** Certifies a device; `est-ca` does. The same serial number and key give the same certificate. */
export type CertifyDevice = (wanted: {
  readonly account: string;
  readonly deviceId: string;
  /** PKCS#10 in PEM. */
  readonly csr: string;
  readonly serialNumber: string;
  readonly organizationalUnit?: string;
  readonly identity?: string;
  readonly resetAt?: string;
}) => Promise<Certified>;

export type CertifyDeps = CollectDeps & {
  readonly devices: Pick<Devices, 'get' | 'insert' | 'find' | 'update'>;
  /** Whether the device came to broker or gateway with the key of its registration; `provisioning` knows. */
  readonly wasSeen: (
    device: Pick<RegistrationDocument, 'account' | 'deviceId' | 'publicKeyHash'>,
  ) => Promise<boolean>;
  readonly certify: CertifyDevice;
  /** Revokes a certificate in whose place another one comes, or all that the device has. */
  readonly supersede: (
    which: { readonly account: string } & ({ readonly serialNumber: string } | { readonly deviceId: string }),
  ) => Promise<unknown>;
};

/**
 * The operational certificate of a registration, for protocols that give that one; undefined while it waits. The first
 * key that comes after the approval is the device's. Until the device was seen with its certificate, at whichever
 * listener, the same key gets it again; and, within ten minutes, another key takes its place: devices that make a new key
 * for every attempt would never get in after one lost answer. After a reset nothing is given before another approval.
 * @throws RegistrationError `declined`, `blocked`, `retired`, `device-id-taken` once the device was seen
 */
export async function certifyRegistered(
  deps: CertifyDeps,
  document: RegistrationDocument,
  csr: { readonly pem: string; readonly read: Csr },
): Promise<Certified | undefined> {
  if (document.state === 'waiting') return undefined;
  requireNotDeclined(document);
  if (document.state === 'approved')
    return issueCertificate(deps, await bindFirstKey(deps, document, csr), csr.pem);
  const record = await requireRegisteredDevice(deps.devices, document);
  if (wasReset(document, record)) return undefined;
  return issueCertificate(deps, await rebindKey(deps, document, csr.read, record), csr.pem);
}

async function issueCertificate(
  { certify, devices, supersede }: CertifyDeps,
  document: RegistrationDocument,
  csr: string,
): Promise<Certified> {
  const { account, deviceId, serialNumber = '', group, fingerprint = '' } = document;
  const unit = group === undefined ? {} : { organizationalUnit: group };
  const record = await devices.get(fingerprint);
  const made = await certify({ account, deviceId, csr, serialNumber, ...placeOf(record), ...unit });
  // whoever takes the device out from here on finds the certificate; whoever did before this did not
  const now = await devices.get(fingerprint);
  const isOut = now === undefined || now.state === 'blocked' || now.state === 'retired';
  if (!isOut && now.account === account && now.onboardingSince === record?.onboardingSince) return made;
  await supersede({ account, serialNumber });
  await requireRegisteredDevice(devices, document);
  throw alreadyRegistered(document);
}

async function bindFirstKey(
  deps: CertifyDeps,
  document: RegistrationDocument,
  { pem, read }: { readonly pem: string; readonly read: Csr },
): Promise<RegistrationDocument> {
  const { record, chain } =
    document.fingerprint === undefined
      ? await registerDevice(deps, { ...deviceOfRegistration(document), csr: pem })
      : { record: await requireRegisteredDevice(deps.devices, document), chain: document.chain ?? [] };
  const key = keyOf(read);
  const settled = await deps.registrations.update(document.id, (current) =>
    current.state === 'approved'
      ? { document: { ...issuedRegistration(current, record, chain, deps.now()), ...key } }
      : undefined,
  );
  if (settled.publicKeyHash === read.publicKeyHash) return settled;
  throw new RegistrationError('another-key', 'csr: another key was first', { field: 'csr' });
}

async function rebindKey(
  deps: CertifyDeps,
  document: RegistrationDocument,
  csr: Csr,
  record: DeviceRecord,
): Promise<RegistrationDocument> {
  if (record.state === 'active') throw alreadyRegistered(document);
  if (document.publicKeyHash === csr.publicKeyHash) return document;
  const age = deps.now() - Date.parse(document.issuedAt ?? '');
  if (age > LOST_ANSWER_MS || (await deps.wasSeen(document))) throw alreadyRegistered(document);
  // a contact that was written before this keeps its key; one that comes after it comes too late
  const rekeyedAt = new Date(deps.now()).toISOString();
  await deps.devices.update(record.id, (current) => {
    const isUnseen = current.state === 'claimed' || current.state === 'enrolled';
    if (!isUnseen || current.account !== document.account) throw alreadyRegistered(document);
    return { document: { ...current, rekeyedAt } };
  });
  const { account, serialNumber } = document;
  if (serialNumber !== undefined) await deps.supersede({ account, serialNumber });
  const key = { ...keyOf(csr), issuedAt: rekeyedAt };
  const settled = await deps.registrations.update(document.id, (current) =>
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
