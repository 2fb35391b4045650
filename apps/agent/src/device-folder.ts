import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Bundle } from '@signet/contracts';
import { z } from 'zod';
import { AgentError } from './agent-error.ts';
import { checkIdentity, type Identity, reading } from './identity.ts';
import { DeviceKeys } from './keys/device-keys.ts';

const Bootstrap = z.object({ url: z.url() });

/**
 * What a device keeps, one folder: `bootstrap.key`, `bootstrap.crt`, `trust.pem` and `bootstrap.json` come from the
 * factory; `pending.key`, `operational.pem` (key and certificate in one file, so that they change together) and
 * `bundle.json` are the agent's. Files are replaced as a whole: after a power cut there is the old one or the new one.
 */
export class DeviceFolder {
  readonly path: string;
  readonly keys: DeviceKeys;

  constructor(path: string, keys: DeviceKeys = new DeviceKeys()) {
    this.path = path;
    this.keys = keys;
  }

  /** @throws AgentError `not-a-device-folder`, `broken-folder`, naming the file */
  async factoryFiles(): Promise<{ identity: Identity; trust: string; url: string }> {
    const key = await this.#required('bootstrap.key');
    const certificate = await this.#required('bootstrap.crt');
    const trust = await this.#required('trust.pem');
    const { url } = this.#parsed('bootstrap.json', Bootstrap, await this.#required('bootstrap.json'));
    const identity = checkIdentity(
      { key, certificate },
      { key: join(this.path, 'bootstrap.key'), certificate: join(this.path, 'bootstrap.crt') },
      this.keys,
    );
    return { identity, trust, url };
  }

  /** Writes what the factory puts in. */
  async putFactoryFiles(files: {
    key: string;
    certificate: string;
    trust: string;
    url: string;
  }): Promise<void> {
    await this.#replace('bootstrap.key', files.key);
    await this.#replace('bootstrap.crt', files.certificate);
    await this.#replace('trust.pem', files.trust);
    await this.#replace('bootstrap.json', `${JSON.stringify({ url: files.url }, undefined, 2)}\n`);
  }

  async bundle(): Promise<Bundle | undefined> {
    const text = await this.#read('bundle.json');
    return text === undefined ? undefined : this.#parsed('bundle.json', Bundle, text);
  }

  async putBundle(bundle: Bundle): Promise<void> {
    await this.#replace('bundle.json', `${JSON.stringify(bundle, undefined, 2)}\n`);
  }

  /** The identity that opens the broker, if the device has enrolled. */
  async operational(): Promise<Identity | undefined> {
    const text = await this.#read('operational.pem');
    if (text === undefined) return undefined;
    const at = Math.max(text.indexOf('-----BEGIN CERTIFICATE-----'), 0);
    const file = join(this.path, 'operational.pem');
    return checkIdentity(
      { key: text.slice(0, at), certificate: text.slice(at) },
      { key: file, certificate: file },
      this.keys,
    );
  }

  /** Key and certificate come into force together; the key is pending no more. */
  async putOperational(identity: Identity): Promise<void> {
    await this.#replace('operational.pem', `${identity.key.trim()}\n${identity.certificate.trim()}\n`);
    await rm(join(this.path, 'pending.key'), { force: true });
  }

  /** The key of an enrolment under way: kept before it is shown, so that a retry uses the same one. */
  async pendingKey(): Promise<string | undefined> {
    const key = await this.#read('pending.key');
    if (key !== undefined)
      reading(join(this.path, 'pending.key'), 'no private key', () => this.keys.publicKey(key));
    return key;
  }

  async putPendingKey(key: string): Promise<void> {
    await this.#replace('pending.key', key);
  }

  #parsed<T>(name: string, schema: z.ZodType<T>, text: string): T {
    return reading(join(this.path, name), 'broken', () => schema.parse(JSON.parse(text)));
  }

  async #required(name: string): Promise<string> {
    const text = await this.#read(name);
    if (text === undefined) {
      throw new AgentError(
        'not-a-device-folder',
        `${join(this.path, name)}: missing; the factory puts it in`,
      );
    }
    return text;
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.path, name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #replace(name: string, text: string): Promise<void> {
    const file = join(this.path, name);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const temporary = await open(`${file}.new`, 'w', 0o600);
    try {
      await temporary.writeFile(text);
      await temporary.sync();
    } finally {
      await temporary.close();
    }
    await rename(`${file}.new`, file);
    const folder = await open(dirname(file), 'r');
    await folder.sync().finally(() => folder.close());
  }
}
