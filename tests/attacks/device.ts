import { join } from 'node:path';
import { DeviceFolder, onboard } from '@signet/agent';
import type { FactoryResult } from '@signet/contracts';
import { createCsrBy, encodePem } from '@signet/pki';
import type { Target } from './attack.ts';

/** A device that a factory of the platform made: its folder has key and bootstrap certificate. */
export type MadeDevice = {
  readonly id: string;
  readonly account: string;
  readonly fingerprint: string;
  readonly folder: DeviceFolder;
};

/** Makes a device in the factory of an account. */
export async function makeDevice(target: Target, account: string, id: string): Promise<MadeDevice> {
  const folder = new DeviceFolder(join(target.folder, account, id));
  const key = await folder.keys.create();
  const der = await createCsrBy(folder.keys.signer(key), { subject: { commonName: id } });
  const { results } = await target.operator.post<{ results: FactoryResult[] }>(
    `/v1/accounts/${account}/factory/certificates`,
    { items: [{ csr: encodePem('CERTIFICATE REQUEST', der) }] },
  );
  const [signed] = results;
  if (signed?.fingerprint === undefined) throw new Error(`factory: ${JSON.stringify(results)}`);
  await folder.putFactoryFiles({
    key,
    certificate: [signed.certificate, ...signed.chain.slice(0, -1)].join(''),
    trust: signed.chain.at(-1) ?? '',
    url: `https://localhost:${target.ports.bootstrap}`,
  });
  return { id, account, fingerprint: signed.fingerprint, folder };
}

export async function claimDevice(target: Target, { account, fingerprint }: MadeDevice): Promise<void> {
  await target.operator.post(`/v1/accounts/${account}/devices`, { fingerprint });
}

/** Makes and claims a device, and lets it fetch bundle and operational certificate. */
export async function onboardDevice(target: Target, account: string, id: string): Promise<MadeDevice> {
  const made = await makeDevice(target, account, id);
  await claimDevice(target, made);
  await onboard(made.folder);
  return made;
}
