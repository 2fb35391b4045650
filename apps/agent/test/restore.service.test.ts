import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevEnv, type Ports, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { leaf, onboard, openMqttSession, rotate } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

/** A platform with an older copy of its data folder, made while it was stopped. */
class Restorable implements AsyncDisposable {
  readonly #root: string;
  #env: DevEnv;
  #ports: Ports;

  private constructor(root: string, env: DevEnv) {
    this.#root = root;
    this.#env = env;
    this.#ports = env.ports;
  }

  static async open(): Promise<Restorable> {
    const root = await mkdtemp(join(tmpdir(), 'signet-restore-'));
    return new Restorable(root, await start(join(root, 'data')));
  }

  get env(): DevEnv {
    return this.#env;
  }

  backUp(): Promise<void> {
    return this.#restart(() => cp(join(this.#root, 'data'), join(this.#root, 'copy'), { recursive: true }));
  }

  restore(): Promise<void> {
    return this.#restart(async () => {
      await rm(join(this.#root, 'data'), { recursive: true });
      await cp(join(this.#root, 'copy'), join(this.#root, 'data'), { recursive: true });
    });
  }

  async #restart(meanwhile: () => Promise<void>): Promise<void> {
    await this.#env[Symbol.asyncDispose]();
    await meanwhile();
    this.#env = await start(join(this.#root, 'data'), this.#ports);
    this.#ports = this.#env.ports;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#env[Symbol.asyncDispose]();
    await rm(this.#root, { recursive: true, force: true });
  }
}

/** On the same ports as before: devices know the platform by its addresses. */
function start(dataDir: string, ports?: Ports): Promise<DevEnv> {
  const known =
    ports === undefined
      ? {}
      : {
          SIGNET_EST_PORT: String(ports.est),
          SIGNET_EST_HTTP_PORT: String(ports.http),
          SIGNET_MQTT_PORT: String(ports.mqtt),
          SIGNET_MQTT_PROVISIONING_PORT: String(ports.mqttProvisioning),
          SIGNET_GATEWAY_PORT: String(ports.gateway),
          SIGNET_BOOTSTRAP_PORT: String(ports.bootstrap),
          SIGNET_ADMIN_PORT: String(ports.admin),
        };
  return startDevEnv({ dataDir, env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1', ...known } });
}

describe('a platform that is restored from an older copy', () => {
  let platform: Restorable;
  let factory: TestFactory;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    platform = stack.use(await Restorable.open());
    factory = stack.use(await TestFactory.open(platform.env));
  });
  afterAll(() => stack.disposeAsync());

  const certificates = async (id: string) => {
    const view = await platform.env.operator.get<{
      certificates: { serialNumber: string; revokedAt?: string }[];
    }>(`/v1/accounts/acme/devices/${id}`);
    return view.certificates;
  };
  const serialOf = async ({ folder }: Made) =>
    leaf((await folder.operational()) ?? expect.unreachable()).serialNumber;

  it('leads a device that rotated since back through bootstrap without a visit, and a reset ends its session', async () => {
    const runs = await factory.claimed('rotated-since');
    const waits = await factory.claimed('reset-after');
    for (const { folder } of [runs, waits]) await onboard(folder);
    await platform.backUp();
    for (const { folder } of [runs, waits]) await rotate(folder);
    const lost = { runs: await serialOf(runs), waits: await serialOf(waits) };
    await platform.restore();

    // the records of the copy do not have the certificates that the devices hold
    for (const [id, serial] of [
      ['rotated-since', lost.runs],
      ['reset-after', lost.waits],
    ] as const)
      expect((await certificates(id)).map(({ serialNumber }) => serialNumber)).not.toContain(serial);

    await using running = new Running(runs, { messages: false, identity: false, configMs: 200 });
    await vi.waitFor(async () => expect(await serialOf(runs)).not.toBe(lost.runs), 30_000);
    await running.until('enrolled');
    const steps = () => running.events.map(({ step }) => step);
    await vi.waitFor(
      () => expect(steps().slice(steps().lastIndexOf('enrolled'))).toContain('connected'),
      20_000,
    );
    const serial = await serialOf(runs);
    expect((await certificates(runs.id)).map(({ serialNumber }) => serialNumber)).toContain(serial);

    const bundle = (await waits.folder.bundle()) ?? expect.unreachable();
    const identity = (await waits.folder.operational()) ?? expect.unreachable();
    await using session = await openMqttSession(bundle, identity);
    await session.publish(['status'], 'alive');
    await platform.env.operator.post('/v1/accounts/acme/devices/actions/reset', {
      deviceIds: ['reset-after'],
    });
    await session.ended;
    const again = await onboard(waits.folder);
    await using _second = await openMqttSession((await waits.folder.bundle()) ?? expect.unreachable(), again);
  });
});
