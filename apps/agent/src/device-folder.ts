import { join } from 'node:path';
import { Bundle } from '@signet/contracts';
import type { z } from 'zod';
import { AgentError } from './agent-error.ts';
import { Bootstrap, ClockFloor, KeptConfig, Rotation, TokenKeys } from './device-state.ts';
import { DurableFiles } from './files/durable-files.ts';
import { certificatesIn, checkIdentity, type Identity, leaf, reading } from './identity.ts';
import { DeviceKeys } from './keys/device-keys.ts';

/**
 * What a device keeps, one folder: `bootstrap.key`, `bootstrap.crt`, `trust.pem` and `bootstrap.json` come from the
 * factory; `pending.key`, `operational.pem` (key and certificate in one file, so that they change together) and
 * `bundle.json` are the agent's. Files are replaced as a whole: after a power cut there is the old one or the new one.
 */
export class DeviceFolder {
  readonly path: string;
  readonly keys: DeviceKeys;
  readonly files: DurableFiles;
  readonly #bootstrapUrl: (written: string | undefined) => string | undefined;

  /** @param bootstrapUrl where the bootstrap service is, given what `bootstrap.json` says of it */
  constructor(
    path: string,
    keys: DeviceKeys = new DeviceKeys(),
    files: DurableFiles = new DurableFiles(),
    bootstrapUrl: (written: string | undefined) => string | undefined = (written) => written,
  ) {
    this.path = path;
    this.keys = keys;
    this.files = files;
    this.#bootstrapUrl = bootstrapUrl;
  }

  /** @throws AgentError `not-a-device-folder`, `broken-folder`, naming the file */
  async factoryFiles(): Promise<{ identity: Identity; trust: string; url: string }> {
    const key = await this.#required('bootstrap.key');
    const certificate = await this.#required('bootstrap.crt');
    const trust = await this.#required('trust.pem');
    reading(join(this.path, 'trust.pem'), 'no root', () => certificatesIn(trust));
    const url =
      this.#bootstrapUrl((await this.#state('bootstrap.json', Bootstrap))?.url) ??
      this.#parsed('bootstrap.json', Bootstrap, await this.#required('bootstrap.json')).url;
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
    const bundle = await this.#state('bundle.json', Bundle);
    if (bundle !== undefined)
      reading(join(this.path, 'bundle.json'), 'trustAnchors', () =>
        certificatesIn(bundle.trustAnchors.join('\n')),
      );
    return bundle;
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

  /** An identity by a fresh enrolment: a rotation that was under way ends with the key that it was to replace. */
  async putEnrolled(identity: Identity): Promise<void> {
    const rotation = await this.rotation();
    if (rotation !== undefined && rotation.step !== 'completed')
      await this.putRotation({ ...rotation, step: 'completed' });
    await this.putOperational(identity);
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
  rotation(): Promise<Rotation | undefined> {
    return this.#state('rotation.json', Rotation);
  }

  async putRotation(rotation: Rotation): Promise<void> {
    await this.#replace('rotation.json', `${JSON.stringify(rotation)}\n`);
  }

  /** The config as the gateway sent it, its values encrypted to the operational key. */
  config(): Promise<KeptConfig | undefined> {
    return this.#state('config.json', KeptConfig);
  }

  async putConfig(config: KeptConfig): Promise<void> {
    await this.#replace('config.json', `${JSON.stringify(config)}\n`);
  }

  /** A time that has passed, Unix ms; undefined where none is known. */
  async clockFloor(): Promise<number | undefined> {
    const kept = await this.#state('clock.json', ClockFloor);
    return kept === undefined ? undefined : Date.parse(kept.floor);
  }

  async putClockFloor(floor: number): Promise<void> {
    await this.#replace('clock.json', `${JSON.stringify({ floor: new Date(floor).toISOString() })}\n`);
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

  /** The keys that were made in a token for this device, by their names there. */
  async tokenKeys(): Promise<readonly string[]> {
    return (await this.#state('token-keys.json', TokenKeys))?.made ?? [];
  }

  async putTokenKeys(made: readonly string[]): Promise<void> {
    await this.#replace('token-keys.json', `${JSON.stringify({ made })}\n`);
  }

  async #state<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const text = await this.#read(name);
    return text === undefined ? undefined : this.#parsed(name, schema, text);
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
    const identity = checkIdentity(
      { key: text.slice(0, at), certificate: text.slice(at) },
      { key: file, certificate: file },
      this.keys,
    );
    await this.#requireOwn(file, identity);
    return identity;
  }

  /** Another device's identity, put into this folder, is not used. */
  async #requireOwn(file: string, identity: Identity): Promise<void> {
    const bundle = await this.bundle();
    if (bundle === undefined) return;
    const { commonName, organization = bundle.account } = leaf(identity).subject;
    if (commonName === bundle.deviceId && organization === bundle.account) return;
    const [named, own] = [`${organization}/${commonName}`, `${bundle.account}/${bundle.deviceId}`];
    throw new AgentError('broken-folder', `${file}: the certificate is of ${named}, the bundle of ${own}`);
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
