import { join } from 'node:path';
import { Bundle } from '@signet/contracts';
import { z } from 'zod';
import { AgentError } from './agent-error.ts';
import { DurableFiles } from './files/durable-files.ts';
import { ConfigBody } from './gateway-client.ts';
import { checkIdentity, type Identity, reading } from './identity.ts';
import { DeviceKeys } from './keys/device-keys.ts';

const Bootstrap = z.object({ url: z.url() });

/** The steps of a rotation that lie behind, in the order of device-gateway.md. */
export const rotationSteps = [
  'started',
  'enrolled',
  'confirmed',
  'config-kept',
  'config-sent',
  'in-force',
  'completed',
] as const;
export type RotationStep = (typeof rotationSteps)[number];

/** A rotation, as the journal has it. A completed one stays, so that an order for it is not obeyed twice. */
export const Rotation = z.object({
  /** `certs-<Unix seconds>`. */
  id: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
  step: z.enum(rotationSteps),
  startedAt: z.string(),
});
export type Rotation = z.infer<typeof Rotation>;

export const KeptConfig = z.object({
  /** What `If-Modified-Since` is to say. */
  modified: z.string(),
  version: z.string(),
  body: ConfigBody,
  /** The same values for the key of the rotation that is under way. */
  next: z.object({ publicKeyHash: z.string(), body: ConfigBody }).optional(),
});
export type KeptConfig = z.infer<typeof KeptConfig>;

/**
 * What a device keeps, one folder: `bootstrap.key`, `bootstrap.crt`, `trust.pem` and `bootstrap.json` come from the
 * factory; `pending.key`, `operational.pem` (key and certificate in one file, so that they change together) and
 * `bundle.json` are the agent's. Files are replaced as a whole: after a power cut there is the old one or the new one.
 */
export class DeviceFolder {
  readonly path: string;
  readonly keys: DeviceKeys;
  readonly files: DurableFiles;

  constructor(path: string, keys: DeviceKeys = new DeviceKeys(), files: DurableFiles = new DurableFiles()) {
    this.path = path;
    this.keys = keys;
    this.files = files;
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
  operational(): Promise<Identity | undefined> {
    return this.#identity('operational.pem');
  }

  /** The identity that a rotation has brought, and that is not in force yet. */
  nextIdentity(): Promise<Identity | undefined> {
    return this.#identity('next.pem');
  }

  async putNextIdentity(identity: Identity): Promise<void> {
    await this.#replace('next.pem', identityFile(identity));
  }

  /** Key and certificate come into force together; the key is pending no more. */
  async putOperational(identity: Identity): Promise<void> {
    await this.#replace('operational.pem', identityFile(identity));
    await this.#remove('next.pem');
    await this.#remove('pending.key');
  }

  /** A rotation that was given up leaves nothing of its key. */
  async dropNextIdentity(): Promise<void> {
    await this.#remove('next.pem');
    await this.#remove('pending.key');
  }

  /** Where a rotation stands; undefined while none is under way. */
  async rotation(): Promise<Rotation | undefined> {
    const text = await this.#read('rotation.json');
    return text === undefined ? undefined : this.#parsed('rotation.json', Rotation, text);
  }

  async putRotation(rotation: Rotation): Promise<void> {
    await this.#replace('rotation.json', `${JSON.stringify(rotation)}\n`);
  }

  /** The config as the gateway sent it, its values encrypted to the operational key. */
  async config(): Promise<KeptConfig | undefined> {
    const text = await this.#read('config.json');
    return text === undefined ? undefined : this.#parsed('config.json', KeptConfig, text);
  }

  async putConfig(config: KeptConfig): Promise<void> {
    await this.#replace('config.json', `${JSON.stringify(config)}\n`);
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

  async #identity(name: string): Promise<Identity | undefined> {
    const text = await this.#read(name);
    if (text === undefined) return undefined;
    const at = Math.max(text.indexOf('-----BEGIN CERTIFICATE-----'), 0);
    const file = join(this.path, name);
    return checkIdentity(
      { key: text.slice(0, at), certificate: text.slice(at) },
      { key: file, certificate: file },
      this.keys,
    );
  }

  #read(name: string): Promise<string | undefined> {
    return this.files.read(join(this.path, name));
  }

  #replace(name: string, text: string): Promise<void> {
    return this.files.replace(join(this.path, name), text);
  }

  #remove(name: string): Promise<void> {
    return this.files.remove(join(this.path, name));
  }
}

/** Key and certificate in one file, so that they change together. */
function identityFile({ key, certificate }: Identity): string {
  return `${key.trim()}\n${certificate.trim()}\n`;
}
