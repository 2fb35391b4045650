import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Authority,
  type Device as DeviceRecord,
  type EventType,
  type IssuedCertificate,
  PLATFORM_ACCOUNT,
  type Refusal,
  type RefusalCode,
  type SignetEvent,
} from '@signet/contracts';
import { trustAnchors } from '@signet/dev-env';
import { expect, vi } from 'vitest';
import { Device } from './device.ts';
import { Mosquitto } from './mosquitto.ts';
import type { Platform } from './platform.ts';
import { type Run, runner, type Tools } from './tools.ts';

export const ACCOUNT = 'default';

export type DeviceView = {
  readonly device: DeviceRecord;
  readonly certificates: readonly IssuedCertificate[];
  readonly activity?: { readonly connected: boolean };
  readonly refusals: readonly Refusal[];
};

type RefusalView = Refusal & { readonly id: string };
type RefusalEvent = 'BOOTSTRAP_REFUSED' | 'ENROLLMENT_REFUSED' | 'DEVICE_REFUSED';

/** A running platform, a folder for the files of devices, and the clients at hand. */
export class Scene implements AsyncDisposable {
  readonly account = ACCOUNT;
  readonly platform: Platform;
  readonly folder: string;
  readonly tools: Tools;
  readonly run: Run;
  readonly mosquitto: Mosquitto;
  /** The platform's roots, PEM. */
  readonly rootFile: string;
  /** All its CA certificates, PEM. */
  readonly authoritiesFile: string;
  #devices = 0;

  static async open(platform: Platform, tools: Tools): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), 'signet-e2e-devices-'));
    const scene = new Scene(platform, tools, folder);
    const { operator } = platform.env;
    await writeFile(scene.rootFile, await trustAnchors(operator));
    const { authorities } = await operator.get<{ authorities: Authority[] }>('/v1/authorities');
    await writeFile(scene.authoritiesFile, authorities.map(({ certificate }) => certificate).join(''));
    return scene;
  }

  private constructor(platform: Platform, tools: Tools, folder: string) {
    this.platform = platform;
    this.tools = tools;
    this.folder = folder;
    this.run = runner(folder);
    this.rootFile = join(folder, 'root.pem');
    this.authoritiesFile = join(folder, 'authorities.pem');
    this.mosquitto = new Mosquitto(this);
  }

  /** A device with an id of its own that begins with `name`. */
  device(name = 'dev'): Device {
    return new Device(this, `${name}-${++this.#devices}`);
  }

  get<T>(path: string): Promise<T> {
    return this.platform.env.operator.get(`/v1/accounts/${ACCOUNT}/${path}`);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.platform.env.operator.post(`/v1/accounts/${ACCOUNT}/${path}`, body);
  }

  /** All that the operator sees of a device. */
  view({ id }: Device): Promise<DeviceView> {
    return this.get(`devices/${id}`);
  }

  async certificates(device: Device): Promise<readonly IssuedCertificate[]> {
    return (await this.view(device)).certificates;
  }

  event<T extends EventType>(type: T, which?: (event: SignetEvent<T>) => boolean): Promise<SignetEvent<T>> {
    return this.platform.env.events.find(type, which);
  }

  /** The event about a device, waited for. */
  eventOf<T extends EventType>(type: T, { id }: Device): Promise<SignetEvent<T>> {
    return this.event(type, ({ subject }) => subject === id);
  }

  /**
   * The refusal as the event has it, waited for. It must be in the log too, and in the operator's view: at the device,
   * or, of a peer whose device is not known, under its certificate's fingerprint or its address.
   */
  async refusal<T extends RefusalEvent>(
    type: T,
    code: RefusalCode,
    which: (data: SignetEvent<T>['data']) => boolean,
  ): Promise<SignetEvent<T>['data']> {
    const { id, account, data } = await this.event(
      type,
      (event) => event.data.code === code && which(event.data),
    );
    await this.platform.env.log.find((line) => line.code === code && line.listener === data.listener);
    const { operator } = this.platform.env;
    const { deviceId, fingerprint } = data;
    const query =
      fingerprint !== undefined
        ? `?fingerprint=${fingerprint}`
        : deviceId !== undefined
          ? `?deviceId=${deviceId}`
          : '';
    await vi.waitFor(
      async () => {
        const path = `/v1/accounts/${account}/refusals${query}`;
        const { items } = await operator.get<{ items: RefusalView[] }>(path);
        expect(items).toContainEqual(expect.objectContaining({ id, code }));
        if (account === PLATFORM_ACCOUNT || deviceId === undefined) return;
        const { status, body } = await operator.call('GET', `/v1/accounts/${account}/devices/${deviceId}`);
        if (status === 404) return;
        expect((body as DeviceView).refusals).toContainEqual(expect.objectContaining({ id, code }));
      },
      { timeout: 10_000, interval: 50 },
    );
    return data;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
