import type { DeviceState } from '@signet/contracts';
import { newSerialNumber } from '@signet/pki';
import type { Certified, CertifyDeps } from '../registration/certify.ts';
import { registerDevice } from '../registration/device.ts';
import { deviceOf, readCsr } from '../registration/read-csr.ts';
import { RegistrationError } from '../registration/registration-error.ts';
import { type Overrides, sotaToml } from './sota-toml.ts';

export type LmpDeps = Pick<CertifyDeps, 'devices' | 'signBootstrap' | 'certify' | 'now'> & {
  /** Base URL of the device gateway. */
  readonly gateway: string;
  /** Where devices pull their system from. */
  readonly ostree: string;
};

/** A device that an API token vouches for. */
export type LmpRequest = {
  readonly account: string;
  /** Name of the token. */
  readonly by: string;
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
 * `device-id-taken`
 */
export async function registerLmpDevice(deps: LmpDeps, request: LmpRequest): Promise<LmpFiles> {
  const { account, by, csr, uuid, hardwareId, group, folder, overrides } = request;
  const { gateway } = deps;
  const deviceId = deviceOf(readCsr(csr), uuid);
  const model = hardwareId;
  const { record } = await registerDevice(deps, { account, deviceId, csr, model, group, by });
  requireFresh(deviceId, record.state);
  const certified = await deps.certify({
    account,
    deviceId,
    csr,
    serialNumber: newSerialNumber(),
    organizationalUnit: account,
  });
  const ostree = request.usesOstreeServer ? deps.ostree : `${gateway}/treehub`;
  return files(certified, sotaToml({ gateway, ostree, hardwareId, folder, overrides }));
}

function requireFresh(deviceId: string, state: DeviceState): void {
  if (state === 'claimed') return;
  throw new RegistrationError('device-id-taken', `uuid: the device "${deviceId}" exists, it is ${state}`, {
    field: 'uuid',
  });
}

function files({ certificate, chain, trustAnchors }: Certified, sota: string): LmpFiles {
  return {
    'root.crt': trustAnchors.join(''),
    'client.pem': certificate,
    'client.chained': [certificate, ...chain.slice(0, -1)].join(''),
    'sota.toml': sota,
  };
}
