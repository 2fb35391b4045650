import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Account, type Bundle, DeviceId } from '@signet/contracts';
import { encodePem, formatPkcs11Uri } from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { checkIdentity, type Identity, leaf } from '../identity.ts';
import { parseKeys } from '../keys/device-keys.ts';
import { certificatesIn } from '../shared-identity/issuers.ts';
import { bad, type SotaSettings } from './sota-toml.ts';

export type ImportOptions = {
  /** Where `sota.toml` does not say: by default the ports of Signet on the host of the gateway. */
  readonly est?: string | undefined;
  readonly mqtt?: string | undefined;
  readonly bootstrap?: string | undefined;
  /** By default the O of the certificate's subject. */
  readonly account?: string | undefined;
  /** The certificate, where it lies in a token. */
  readonly certificate?: string | undefined;
  /** The label of the key in its token. */
  readonly keyLabel?: string | undefined;
};

/** What a device folder is made from. */
export type Import = {
  readonly identity: Identity;
  readonly trust: string;
  readonly bundle: Bundle;
  readonly bootstrapUrl: string;
  /** What `--key` is to be from now on. */
  readonly keySpec: string;
  /** The PIN of the token; it gets a file of its own. */
  readonly pin: string | undefined;
};

/** What lmp-device-register calls its key. */
const KEY_LABEL = 'tls';

/** Reads what the settings lead to, and changes nothing. @throws AgentError `bad-import` naming the setting */
export async function readImport(
  settings: SotaSettings,
  folder: Pick<DeviceFolder, 'path'>,
  options: ImportOptions,
): Promise<Import> {
  const gateway = await gatewayOf(settings);
  const trust = await fileOf('import.tls_cacert_path', settings.trust);
  const roots = reading('import.tls_cacert_path', 'no certificates in PEM', () => certificatesIn(trust));
  if (roots.length === 0) throw bad('import.tls_cacert_path', `${settings.trust}: no certificate in it`);
  const certificate = await certificateOf(settings, options);
  const { key, keySpec, pin } = await keyOf(settings, folder, options, certificate);
  const identity = reading(settings.key.setting, 'not the key of the certificate', () =>
    checkIdentity(
      { key, certificate },
      { key: settings.key.setting, certificate: settings.certificate.setting },
      parseKeys(keySpec),
    ),
  );
  const { subject } = leaf(identity);
  const account = named(
    'account',
    Account,
    options.account ?? subject.organization,
    settings.certificate.setting,
  );
  const deviceId = named('device id', DeviceId, subject.commonName, settings.certificate.setting);
  const { hostname } = gateway;
  return {
    ...{ identity, trust, keySpec, pin },
    bootstrapUrl: options.bootstrap ?? `https://${hostname}:8444`,
    bundle: {
      ...{ account, deviceId, instance: hostname, config: {} },
      trustAnchors: roots.map((root) => root.pem()),
      est: {
        url: options.est ?? `https://${hostname}:8443`,
        ...{ label: account, username: deviceId, grant: '', expiresAt: new Date(0).toISOString() },
      },
      mqtt: { url: options.mqtt ?? `mqtts://${hostname}:8883`, clientId: deviceId },
      gateway: { url: gateway.origin },
    },
  };
}

/**
 * Makes the device folder. The imported identity also stands where a factory's would: it opens no bootstrap service, and
 * after its first rotation nothing any more. @throws AgentError `bad-import` where the folder has a device
 */
export async function writeImport(folder: DeviceFolder, given: Import): Promise<void> {
  await requireEmpty(folder);
  const { key, certificate } = given.identity;
  if (given.pin !== undefined) await folder.files.replace(join(folder.path, 'pin'), `${given.pin}\n`);
  await folder.putBundle(given.bundle);
  await folder.putOperational(given.identity);
  await folder.putFactoryFiles({ key, certificate, trust: given.trust, url: given.bootstrapUrl });
}

export async function requireEmpty(folder: DeviceFolder): Promise<void> {
  for (const name of ['bootstrap.key', 'operational.pem']) {
    if ((await folder.files.read(join(folder.path, name))) === undefined) continue;
    throw new AgentError('bad-import', `${join(folder.path, name)}: the folder has a device already`);
  }
}

async function gatewayOf({ server }: SotaSettings): Promise<URL> {
  const setting = 'url' in server ? 'tls.server' : 'tls.server_url_path';
  const text = 'url' in server ? server.url : (await fileOf(setting, server.path)).trim();
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:') throw bad(setting, `"${text}" is no https URL`);
  return url;
}

async function certificateOf({ certificate }: SotaSettings, options: ImportOptions): Promise<string> {
  const path = options.certificate ?? (certificate.kind === 'file' ? certificate.path : undefined);
  if (path === undefined)
    throw bad(
      'tls.cert_source',
      'it lies in the token: give it as a file with --certificate (pkcs11-tool --read-object --type cert)',
    );
  const text = await fileOf(certificate.setting, path);
  reading(certificate.setting, 'no certificate in PEM', () => leaf({ key: '', certificate: text }));
  return text;
}

async function keyOf(
  { key, token }: SotaSettings,
  { path }: Pick<DeviceFolder, 'path'>,
  options: ImportOptions,
  certificate: string,
): Promise<{ key: string; keySpec: string; pin: string | undefined }> {
  if (key.kind === 'file') {
    const text = await fileOf(key.setting, key.path);
    const read = () => createPrivateKey(text).export({ type: 'pkcs8', format: 'pem' }).toString();
    return { key: reading(key.setting, 'no private key in PEM', read), keySpec: 'file:', pin: undefined };
  }
  const { label = '', module = '', pin } = token ?? {};
  const uri = formatPkcs11Uri({ token: label, object: options.keyLabel ?? KEY_LABEL });
  const { spkiDer } = leaf({ key: '', certificate });
  const query = [
    `module-path=${encodeURIComponent(module)}`,
    `pin-source=file:${encodeURI(join(path, 'pin'))}`,
  ];
  return {
    key: `${uri}\n${encodePem('PUBLIC KEY', spkiDer)}`,
    keySpec: `${formatPkcs11Uri({ token: label })}?${query.join('&')}`,
    pin,
  };
}

async function fileOf(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw bad(setting, (cause as Error).message, cause);
  }
}

function reading<T>(setting: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw bad(setting, `${what}: ${(cause as Error).message}`, cause);
  }
}

function named(
  what: string,
  schema: typeof Account | typeof DeviceId,
  value: string | undefined,
  setting: string,
): string {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw bad(setting, `the certificate's subject has no ${what} (${value ?? 'missing'})`);
}
