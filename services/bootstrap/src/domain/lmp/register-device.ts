import type { DeviceState } from '@signet/contracts';
import { newSerialNumber } from '@signet/pki';
import { placeOf } from '../device/reset.ts';
import type { Certified, CertifyDeps } from '../registration/certify.ts';
import { registerDevice } from '../registration/device.ts';
import { deviceOf, readCsr } from '../registration/read-csr.ts';
import { RegistrationError } from '../registration/registration-error.ts';
import { type Overrides, sotaToml } from './sota-toml.ts';

export type LmpDeps = Pick<CertifyDeps, 'devices' | 'signBootstrap' | 'certify' | 'supersede' | 'now'> & {
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
 * device has not used its certificate.
 * @throws RegistrationError `malformed-request`, `weak-key`, `bad-csr-signature`, `wrong-subject`, `bad-identity`,
 * `device-id-taken`, `limit-reached`
 */
export async function registerLmpDevice(deps: LmpDeps, request: LmpRequest): Promise<LmpFiles> {
  const { csr, uuid, hardwareId, folder, overrides } = request;
  const { gateway } = deps;
  const deviceId = deviceOf(readCsr(csr), uuid);
  const spent = await request.budget?.spend(deviceId);
  let certified: Certified;
  try {
    certified = await registerAndCertify(deps, deviceId, request);
  } catch (error) {
    // what failed otherwise may have been done: it counts, and the same device may come again
    if (error instanceof RegistrationError) await spent?.giveBack();
    throw error;
  }
  const ostree = request.usesOstreeServer ? deps.ostree : `${gateway}/treehub`;
  return files(certified, sotaToml({ gateway, ostree, hardwareId, folder, overrides }));
}

async function registerAndCertify(
  deps: LmpDeps,
  deviceId: string,
  { account, by, csr, hardwareId: model, group }: LmpRequest,
): Promise<Certified> {
  const { record } = await registerDevice(deps, { account, deviceId, csr, model, group, by });
  requireFresh(deviceId, record.state);
  const serialNumber = newSerialNumber();
  const certified = await deps.certify({
    ...{ account, deviceId, csr, serialNumber },
    ...placeOf(record),
    organizationalUnit: account,
  });
  // whoever takes the device out from here on finds the certificate; whoever did before this did not
  const now = await deps.devices.get(record.id);
  const isOut = now === undefined || now.state === 'blocked' || now.state === 'retired';
  if (!isOut && now.account === account && now.onboardingSince === record.onboardingSince) return certified;
  await deps.supersede({ account, serialNumber });
  throw taken(deviceId, now?.account === account ? now.state : 'given up');
}

function requireFresh(deviceId: string, state: DeviceState): void {
  if (state !== 'claimed') throw taken(deviceId, state);
}

function taken(deviceId: string, state: string): RegistrationError {
  const message = `uuid: the device "${deviceId}" exists, it is ${state}`;
  return new RegistrationError('device-id-taken', message, { field: 'uuid' });
}

function files({ certificate, chain, trustAnchors }: Certified, sota: string): LmpFiles {
  return {
    'root.crt': trustAnchors.join(''),
    'client.pem': certificate,
    'client.chained': [certificate, ...chain.slice(0, -1)].join(''),
    'sota.toml': sota,
  };
}
