import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jittered, pause } from '@signet/agent';
import type { DevicesChanged, FactoryResult } from '@signet/contracts';
import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { makeDevice, writeDeviceFolder } from '../factory-device.ts';
import { Stopwatch } from './stopwatch.ts';
import { VirtualDevice } from './virtual-device.ts';

/** The steps of a device's life, in order. */
export const steps = [
  'factory',
  'claim',
  'bootstrap',
  'enrol',
  'connect',
  'publish',
  'renew',
  'reconnect',
  'revoke',
] as const;

export type Failure = { readonly device: string; readonly step: string; readonly reason: string };

export type DemoResult = {
  readonly devices: number;
  /** Devices that passed, from the factory to the end. */
  readonly ok: number;
  readonly steps: Readonly<Record<string, { count: number; p50: number; p99: number }>>;
  /** From the operator's call to the closed socket at the client; over the devices of the revoked group. */
  readonly revokeToDisconnectMs: { readonly p50: number; readonly p99: number };
  readonly failures: readonly Failure[];
};

export type DemoOptions = {
  readonly api: ApiClient;
  readonly devices: number;
  readonly bootstrapUrl: string;
  /** PEM of roots that its servers may chain to, beside those that the factory and the platform give the devices. */
  readonly roots: readonly string[];
  readonly progress: (step: string, done: number) => void;
};

const FACTORY_BATCH = 256;
const AT_A_TIME = 16;
/** After the answer. A machine may be slow; a session that lives on after that is one that nobody ends. */
const CLAIM_RETRIES = 3;
const CUT_DEADLINE_MS = 45_000;

/**
 * Makes a fleet and takes it through its life: factory, claim, bootstrap, enrol, connect, publish, renew; then one of
 * two groups is revoked in one call: its sessions must end and stay shut, the other group must notice nothing.
 */
export async function runFleet(options: DemoOptions): Promise<DemoResult> {
  const root = await mkdtemp(join(tmpdir(), 'signet-demo-'));
  const demo = new Demo(options, root);
  try {
    return await demo.run();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #root: string;
  readonly #watch = new Stopwatch();
  readonly #run = Date.now().toString(36);
  readonly #failures: Failure[] = [];
  #fleet: VirtualDevice[] = [];

  constructor(options: DemoOptions, root: string) {
    this.#options = options;
    this.#root = root;
  }

  async run(): Promise<DemoResult> {
    const { devices } = this.#options;
    this.#fleet = await this.#make();
    await this.#each('claim', (device) => this.#claim(device));
    await this.#each('bootstrap', (device) => device.bootstrap());
    await this.#each('enrol', (device) => device.enrol());
    await this.#each('connect', (device) => device.connect());
    await this.#each('publish', (device) => device.publish());
    await this.#each('renew', (device) => device.renew());
    await this.#revoke();
    const ok = this.#fleet.length;
    await Promise.all(this.#fleet.map((device) => device.disconnect()));
    const { p50, p99 } = this.#watch.summary('revoke');
    return {
      devices,
      ok,
      steps: Object.fromEntries(steps.map((step) => [step, this.#watch.summary(step)])),
      revokeToDisconnectMs: { p50, p99 },
      failures: this.#failures,
    };
  }

  async #make(): Promise<VirtualDevice[]> {
    const { api, devices, bootstrapUrl, roots, progress } = this.#options;
    const fleet: VirtualDevice[] = [];
    for (let first = 0; first < devices; first += FACTORY_BATCH) {
      const made = Array.from({ length: Math.min(FACTORY_BATCH, devices - first) }, (_, i) =>
        makeDevice(`demo-${this.#run}-${first + i + 1}`),
      );
      const start = performance.now();
      const results = await sign(
        api,
        made.map(({ csr }) => ({ csr, model: 'demo' })),
      );
      const each = (performance.now() - start) / made.length;
      for (const [i, device] of made.entries()) {
        const signed = results[i];
        if (signed === undefined || 'error' in signed) {
          this.#failures.push({
            device: device.id,
            step: 'factory',
            reason: signed?.error.message ?? 'no answer',
          });
          continue;
        }
        const folder = await writeDeviceFolder(join(this.#root, device.id), device, signed, bootstrapUrl);
        this.#watch.add('factory', each);
        fleet.push(
          new VirtualDevice({
            ...{ id: device.id, fingerprint: signed.fingerprint, folder, roots },
            watch: this.#watch,
          }),
        );
      }
      progress('factory', fleet.length);
    }
    return fleet;
  }

  async #claim(device: VirtualDevice): Promise<void> {
    const group = this.#isDoomed(device) ? `doomed-${this.#run}` : `kept-${this.#run}`;
    const { fingerprint } = device;
    await this.#watch.time('claim', async () => {
      for (let failures = 0; ; failures++) {
        try {
          return await this.#options.api.post('/v1/accounts/{account}/devices', { fingerprint, group });
        } catch (error) {
          // a store that is busy; a claim that was made after all is answered alike
          const isPassing = error instanceof CliError && error.code === 'unavailable';
          if (!isPassing || failures === CLAIM_RETRIES) throw error;
          await pause(jittered(failures, 250, 2000));
        }
      }
    });
  }

  /** Every second device is of the group that will be revoked. */
  #isDoomed(device: VirtualDevice): boolean {
    return Number(device.id.split('-').at(-1)) % 2 === 0;
  }

  /** Runs a step for every device that is still in order; one that fails drops out, with its reason. */
  async #each(step: string, run: (device: VirtualDevice) => Promise<void>): Promise<void> {
    const waiting = [...this.#fleet];
    const well: VirtualDevice[] = [];
    const worker = async () => {
      for (let device = waiting.shift(); device !== undefined; device = waiting.shift()) {
        try {
          await run(device);
          well.push(device);
          this.#options.progress(step, well.length);
        } catch (error) {
          await this.#fail(device, step, error instanceof Error ? error.message : String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    this.#fleet = well;
  }

  async #revoke(): Promise<void> {
    const { api } = this.#options;
    const doomed = this.#fleet.filter((device) => this.#isDoomed(device));
    const kept = this.#fleet.filter((device) => !this.#isDoomed(device));
    if (doomed.length === 0) return;
    const calledAt = performance.now();
    const ended = Promise.all(doomed.map((device) => device.ended));
    const done = await api.post<DevicesChanged>('/v1/accounts/{account}/devices/actions/revoke', {
      group: `doomed-${this.#run}`,
      reason: 'demo',
    });
    await within(CUT_DEADLINE_MS, ended);
    for (const { device, message } of done.failed)
      this.#failures.push({ device, step: 'revoke', reason: message });
    this.#fleet = doomed;
    await this.#each('revoke', (device) => this.#checkShutOut(device, calledAt));
    for (const device of kept) {
      if (device.cutAt === undefined) this.#fleet.push(device);
      else await this.#fail(device, 'revoke', 'its session was cut, though its group was not revoked');
    }
  }

  async #checkShutOut(device: VirtualDevice, calledAt: number): Promise<void> {
    if (device.cutAt === undefined)
      throw new Error(`its session lives ${CUT_DEADLINE_MS} ms after the answer`);
    this.#watch.add('revoke', device.cutAt - calledAt);
    if (!(await device.isShutOut())) throw new Error('it was let in again');
  }

  /** A device that fell out of step leaves: its session would keep the demo alive. */
  async #fail(device: VirtualDevice, step: string, reason: string): Promise<void> {
    this.#failures.push({ device: device.id, step, reason });
    await device.disconnect();
  }
}

type Signed = FactoryResult | { readonly error: { readonly message: string } };

/** What the factory says of each; where it refuses or cannot do the whole call, that of every one. */
async function sign(api: ApiClient, items: readonly object[]): Promise<readonly Signed[]> {
  try {
    const path = '/v1/accounts/{account}/factory/certificates';
    return (await api.post<{ results: Signed[] }>(path, { items })).results;
  } catch (error) {
    if (!(error instanceof CliError) || error.isUnreachable) throw error;
    return items.map(() => ({ error: { message: error.message } }));
  }
}

/** Waits for a promise, at most so long; what came until then is looked at by the caller. */
async function within(ms: number, done: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([done, late.promise]);
  clearTimeout(timer);
}
