import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, DeviceFolder, leaf } from '@signet/agent';
import type { FactoryResult } from '@signet/contracts';
import { readIfThere, replaceFile } from '@signet/files';
import { type Certificate, createCsr, encodePem, generateKeyPair, PkiError } from '@signet/pki';
import { CliError } from '../cli-error.ts';
import type { WantedDevice } from './wanted-devices.ts';

/** The roots that devices verify the platform by, beside their certificates. */
export const TRUST_FILE = 'trust.pem';

/** Where a batch keeps what it makes, device by device; what lies there says what is done. */
export interface Places {
  /** The certificate of a device that is done. */
  made(device: WantedDevice): Promise<Certificate | undefined>;
  /** Its CSR, PEM. A key that has to be made for it is kept before this resolves. */
  request(device: WantedDevice): Promise<string>;
  keep(device: WantedDevice, signed: FactoryResult): Promise<void>;
}

/** Keys are made here: each device has its folder, with all that `signet-agent` needs, only for its owner. */
export function deviceFolders(out: string, bootstrapUrl: string): Places {
  const folderOf = ({ serial }: WantedDevice) => join(out, serial);
  const keyOf = (device: WantedDevice) => join(folderOf(device), 'bootstrap.key');
  return {
    async made(device) {
      try {
        const { identity } = await new DeviceFolder(folderOf(device)).factoryFiles();
        return leaf(identity);
      } catch (error) {
        if (error instanceof AgentError) return undefined;
        throw error;
      }
    },
    async request(device) {
      const kept = await keptKey(keyOf(device));
      const privateKey = kept ?? generateKeyPair('P-256').privateKey;
      if (kept === undefined)
        await replaceFile(keyOf(device), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
      const csr = createCsr({ subject: { commonName: device.id }, privateKey });
      return encodePem('CERTIFICATE REQUEST', csr);
    },
    async keep(device, { certificate, chain, trustAnchors }) {
      await new DeviceFolder(folderOf(device)).putFactoryFiles({
        key: await readFile(keyOf(device), 'utf8'),
        certificate: [certificate, ...chain.slice(0, -1)].join(''),
        trust: trustAnchors.join(''),
        url: bootstrapUrl,
      });
    },
  };
}

/** Keys stay in the devices: `<serial>.csr` in one folder, or where the CSV says, becomes `<serial>.crt` in another. */
export function certificateFiles(out: string, csrs: string | undefined): Places {
  const certificateOf = ({ serial }: WantedDevice) => join(out, `${serial}.crt`);
  // devices are kept many at a time, and share this file: one writer, and only where it says something else
  let trust = { text: '', written: Promise.resolve() };
  const keepTrust = (text: string): Promise<void> => {
    if (text !== trust.text)
      trust = { text, written: trust.written.then(() => replaceFile(join(out, TRUST_FILE), text)) };
    return trust.written;
  };
  return {
    async made(device) {
      const text = await readIfThere(certificateOf(device));
      try {
        return text === undefined ? undefined : leaf({ key: '', certificate: text });
      } catch (error) {
        if (error instanceof PkiError) return undefined;
        throw error;
      }
    },
    async request({ serial, csr }) {
      const file = csr ?? (csrs === undefined ? undefined : join(csrs, `${serial}.csr`));
      if (file === undefined)
        throw new CliError(`${serial}: has no CSR; give --csrs <folder>, a column csr, or --make-keys`);
      const text = await readIfThere(file);
      if (text === undefined) throw new CliError(`${file}: does not exist`);
      return text;
    },
    async keep(device, { certificate, chain, trustAnchors }) {
      await keepTrust(trustAnchors.join(''));
      await replaceFile(
        certificateOf(device),
        [certificate, ...chain.slice(0, -1), ...trustAnchors].join(''),
      );
    },
  };
}

async function keptKey(file: string) {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new CliError(`${file}: not a private key; move the file to have a new key made`, { cause });
  }
}
