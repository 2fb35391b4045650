import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FactoryResult } from '@signet/contracts';
import type { DevEnv } from '@signet/dev-env';
import { createCsrBy, encodePem } from '@signet/pki';
import { DeviceFolder, DeviceKeys } from '../src/index.ts';

export type Made = { readonly id: string; readonly folder: DeviceFolder; readonly fingerprint: string };

/** Device folders as a factory of the platform `env` makes them; removed at the end. */
export class TestFactory implements AsyncDisposable {
  readonly #env: DevEnv;
  readonly #root: string;

  private constructor(env: DevEnv, root: string) {
    this.#env = env;
    this.#root = root;
  }

  static async open(env: DevEnv): Promise<TestFactory> {
    return new TestFactory(env, await mkdtemp(join(tmpdir(), 'signet-agent-')));
  }

  /** @param keys where the device keeps its keys; the factory's own is made there too where `bootstrap` says so */
  async make(
    id: string,
    { keys = new DeviceKeys(), bootstrap = false }: { keys?: DeviceKeys; bootstrap?: boolean } = {},
  ): Promise<Made> {
    const key = await (bootstrap ? keys : new DeviceKeys()).create();
    const der = await createCsrBy(keys.signer(key), { subject: { commonName: id } });
    const csr = encodePem('CERTIFICATE REQUEST', der);
    const { results } = await this.#env.operator.post<{ results: FactoryResult[] }>(
      '/v1/accounts/acme/factory/certificates',
      { items: [{ csr }] },
    );
    const [signed] = results;
    if (signed === undefined) throw new Error('nothing signed');
    const folder = new DeviceFolder(join(this.#root, id), keys);
    await folder.putFactoryFiles({
      key,
      certificate: [signed.certificate, ...signed.chain.slice(0, -1)].join(''),
      trust: signed.chain.at(-1) ?? '',
      url: `https://localhost:${this.#env.ports.bootstrap}`,
    });
    return { id, folder, fingerprint: signed.fingerprint };
  }

  async claimed(id: string, options?: Parameters<TestFactory['make']>[1]): Promise<Made> {
    const made = await this.make(id, options);
    await this.claim(made);
    return made;
  }

  claim({ fingerprint }: Made): Promise<unknown> {
    return this.#env.operator.post('/v1/accounts/acme/devices', { fingerprint });
  }

  act(verb: 'block' | 'unblock' | 'revoke', ...deviceIds: string[]): Promise<unknown> {
    return this.#env.operator.post(`/v1/accounts/acme/devices/actions/${verb}`, {
      deviceIds,
      reason: 'test',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }
}
