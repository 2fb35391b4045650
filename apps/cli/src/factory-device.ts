import { DeviceFolder } from '@signet/agent';
import type { FactoryResult } from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';

/** A device in the making: its key is made at the factory's station and goes nowhere but into its folder. */
export type NewDevice = { readonly id: string; readonly key: string; readonly csr: string };

export function makeDevice(id: string): NewDevice {
  const { privateKey } = generateKeyPair('P-256');
  const csr = encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName: id }, privateKey }));
  return { id, csr, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** Writes a signed device's folder: all that `signet-agent` needs. */
export async function writeDeviceFolder(
  path: string,
  device: NewDevice,
  signed: FactoryResult,
  bootstrapUrl: string,
): Promise<DeviceFolder> {
  const folder = new DeviceFolder(path);
  const intermediates = signed.chain.slice(0, -1);
  await folder.putFactoryFiles({
    key: device.key,
    certificate: [signed.certificate, ...intermediates].join(''),
    trust: signed.trustAnchors.join(''),
    url: bootstrapUrl,
  });
  return folder;
}
