import { type Csr, newSerialNumber, textOfAttribute } from '@signet/pki';
import type { DeviceRecord } from '../../collections.ts';
import { placeOf } from '../device/reset.ts';
import { RegistrationError } from '../errors.ts';
import type { Certified, CertifyDeps } from '../registration/certify-registered.ts';
import { deviceIdOf, readCsr } from '../registration/csr.ts';
import { registerDevice, requireActiveAccount } from '../registration/register-device.ts';
import { registerAgain, registeredBefore, uuidTaken } from './register-again.ts';
import { type Overrides, sotaToml } from './sota-toml.ts';

/** X.520 businessCategory: the client writes "production" into it. */
const BUSINESS_CATEGORY = '2.5.4.15';

export type LmpDeps = Pick<
  CertifyDeps,
  'devices' | 'signBootstrap' | 'accountStates' | 'certify' | 'supersede' | 'wasSeen' | 'now'
> & {
  /** Base URL of the device gateway. */
  readonly gateway: string;
  /** Where devices pull their system from. */
  readonly ostree: string;
};

/** Counts a device against the budget of who registers it; what was refused for good is given back. */
export type RegistrarBudget = {
  /** @throws RegistrationError `limit-reached` */
  spend(deviceId: string): Promise<{ giveBack(): Promise<void> }>;
};

/** A device that an API token vouches for. */
export type LmpRequest = {
  readonly account: string;
  /** Name of the token. */
  readonly by: string;
  /** Absent where the token has none. */
  readonly budget?: RegistrarBudget | undefined;
  /** PKCS#10 in PEM. */
  readonly csr: string;
  readonly uuid: string | undefined;
  readonly hardwareId: string;
  /** As the device calls itself. */
  readonly name: string | undefined;
  readonly group: string | undefined;
  readonly folder: string;
  /** Whether it pulls its system from the OSTree server rather than through the gateway. */
  readonly usesOstreeServer: boolean;
  readonly overrides: Overrides;
};

/** The files that the device writes, by the names that its client knows. */
export type LmpFiles = Readonly<Record<'root.crt' | 'client.pem' | 'client.chained' | 'sota.toml', string>>;

/**
 * Registers a device and certifies it at once: the token is the approval. The same key may come again as long as the
 * device has not used its certificate; another key as {@link registerAgain} has it.
 * @throws RegistrationError `malformed-request`, `weak-key`, `bad-csr-signature`, `wrong-subject`, `bad-identity`,
 * `device-id-taken`, `limit-reached`
 */
export async function registerLmpDevice(deps: LmpDeps, request: LmpRequest): Promise<LmpFiles> {
  const { csr, uuid, hardwareId, folder, overrides } = request;
  const { gateway } = deps;
  const read = readCsr(csr);
  const deviceId = deviceIdOf(read, uuid);
  const spent = await request.budget?.spend(deviceId);
  let certified: Certified;
  try {
    certified = await registerAndCertify(deps, { deviceId, read }, request);
  } catch (error) {
    // what failed otherwise may have been done: it counts, and the same device may come again
    if (error instanceof RegistrationError) await spent?.giveBack();
    throw error;
  }
  const ostree = request.usesOstreeServer ? deps.ostree : `${gateway}/treehub`;
  return filesOf(certified, sotaToml({ gateway, ostree, hardwareId, folder, overrides }));
}

async function registerAndCertify(
  deps: LmpDeps,
  { deviceId, read }: { readonly deviceId: string; readonly read: Csr },
  request: LmpRequest,
): Promise<Certified> {
  const { account, csr } = request;
  await requireActiveAccount(deps.accountStates, account);
  const record = await requireRecord(deps, { deviceId, read }, request);
  const serialNumber = newSerialNumber();
  const certified = await deps.certify({
    ...{ account, deviceId, csr, serialNumber },
    ...placeOf(record),
    organizationalUnit: account,
  });
  // whoever takes the device out from here on finds the certificate; whoever did before this did not
  const now = await deps.devices.get(record.id);
  const isOut = now === undefined || now.state === 'blocked' || now.state === 'retired';
  const isSame =
    now?.account === account &&
    now.onboardingSince === record.onboardingSince &&
    now.tokenRegistration?.publicKeyHash === record.tokenRegistration?.publicKeyHash;
  if (!isOut && isSame) return certified;
  await deps.supersede({ account, serialNumber });
  throw uuidTaken(deviceId, now?.account === account ? now.state : 'given up');
}

/** The record of the device, new or once more for the key of this request. @throws RegistrationError `device-id-taken` */
async function requireRecord(
  deps: LmpDeps,
  { deviceId, read }: { readonly deviceId: string; readonly read: Csr },
  { account, by, csr, hardwareId: model, group, name }: LmpRequest,
): Promise<DeviceRecord> {
  const { publicKeyHash } = read;
  const isProduction = textOfAttribute(read.subjectDer, BUSINESS_CATEGORY) === 'production';
  const said = {
    ...(name === undefined || name === '' ? {} : { name }),
    ...(isProduction ? { production: true as const } : {}),
  };
  const known = await registeredBefore(deps.devices, { account, deviceId });
  if (known !== undefined) return registerAgain(deps, known, { account, publicKeyHash, group, by, said });
  const tokenRegistration = { publicKeyHash, at: new Date(deps.now()).toISOString(), by };
  const more = { tokenRegistration, ...said };
  const { record } = await registerDevice(deps, { account, deviceId, csr, model, group, by, more });
  // one that came at the same time was first
  if (record.tokenRegistration?.publicKeyHash !== publicKeyHash) throw uuidTaken(deviceId, record.state);
  return record;
}

function filesOf({ certificate, chain, trustAnchors }: Certified, sota: string): LmpFiles {
  return {
    'root.crt': trustAnchors.join(''),
    'client.pem': certificate,
    'client.chained': [certificate, ...chain.slice(0, -1)].join(''),
    'sota.toml': sota,
  };
}
