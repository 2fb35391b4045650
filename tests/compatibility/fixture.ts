import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeviceFolder, type Identity } from '@signet/agent';
import { parseCrl } from '@signet/pki';
import { StandaloneProcess } from '@signet/standalone/testing';

/** What a fixture says of itself. */
export type Manifest = {
  /** The release that wrote it. */
  readonly commit: string;
  /** The ports that devices were told of. */
  readonly ports: Readonly<Record<string, number>>;
  readonly crl: { readonly path: string; readonly number: string; readonly revoked: string };
  /** Devices whose events the pull queue has acknowledged. */
  readonly queue: { readonly acknowledged: readonly string[] };
};

export const fixtures = join(import.meta.dirname, 'fixtures');

/** The data folder of a release, and the folders of its devices, unpacked; gone at the end. */
export class Fixture implements AsyncDisposable {
  readonly root: string;
  readonly manifest: Manifest;

  static async unpack(name: string): Promise<Fixture> {
    const root = await mkdtemp(join(tmpdir(), 'signet-compatibility-'));
    execFileSync('tar', ['-C', root, '-xzf', join(fixtures, `${name}.tar.gz`)]);
    const manifest = JSON.parse(await readFile(join(root, 'manifest.json'), 'utf8')) as Manifest;
    return new Fixture(root, manifest);
  }

  private constructor(root: string, manifest: Manifest) {
    this.root = root;
    this.manifest = manifest;
  }

  /** The present platform on this data, ready, on free ports that its devices are told of. */
  async start(environment: Record<string, string> = {}): Promise<StandaloneProcess> {
    const platform = new StandaloneProcess(join(this.root, 'data'), {
      ...{ SIGNET_BIND: '127.0.0.1', SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' },
      ...{ SIGNET_EST_VALIDITY_DAYS: '3600', SIGNET_OUTWARD_PRIVATE: 'true' },
      ...environment,
    });
    await platform.ready();
    await this.#move(platform);
    return platform;
  }

  /** @throws Error where the platform does start */
  async refusedStart(): Promise<{ readonly code: number | null; readonly lines: readonly string[] }> {
    await using platform = new StandaloneProcess(join(this.root, 'data'));
    const code = await platform.ended();
    return { code, lines: platform.err.split('\n').filter((line) => line !== '') };
  }

  device(id: string): DeviceFolder {
    return new DeviceFolder(join(this.root, 'devices', id));
  }

  /** The identity in `<name>.crt` and `<name>.key`. */
  async identity(name: string): Promise<Identity> {
    const read = (kind: string) => readFile(join(this.root, `${name}.${kind}`), 'utf8');
    return { certificate: await read('crt'), key: await read('key') };
  }

  async token(): Promise<string> {
    return (await readFile(join(this.root, 'data', 'admin-token'), 'utf8')).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  /** Devices find the platform where it is now. */
  async #move(platform: StandaloneProcess): Promise<void> {
    const moved = Object.entries(this.manifest.ports).map(
      ([name, port]) => [`localhost:${port}`, `localhost:${new URL(platform.url(name)).port}`] as const,
    );
    const entries = await readdir(join(this.root, 'devices'), { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const text = await readFile(path, 'utf8');
      const changed = moved.reduce((made, [from, to]) => made.replaceAll(from, to), text);
      if (changed !== text) await writeFile(path, changed);
    }
  }
}

/** The number of the CRL at a URL, in decimal. */
export async function crlNumber(url: string): Promise<string> {
  const crl = await fetchCrl(url);
  return String(crl.number);
}

export async function fetchCrl(url: string): Promise<ReturnType<typeof parseCrl>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return parseCrl(Buffer.from(await response.arrayBuffer()));
}
