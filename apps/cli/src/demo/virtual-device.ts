import {
  AgentError,
  type DeviceFolder,
  enroll,
  type Identity,
  jittered,
  type MqttSession,
  openMqttSession,
  pause,
  reenroll,
  requestHandoff,
} from '@signet/agent';
import type { Bundle } from '@signet/contracts';
import { generateKeyPair } from '@signet/pki';
import type { Stopwatch } from './stopwatch.ts';

/** How long a device of the demo goes on trying. */
const PATIENCE_MS = 45_000;

/** One device of the demo: it does over real sockets what a real one does. */
export class VirtualDevice {
  readonly id: string;
  readonly fingerprint: string;
  readonly #folder: DeviceFolder;
  readonly #roots: readonly string[];
  readonly #watch: Stopwatch;
  #bundle: Bundle | undefined;
  #identity: Identity | undefined;
  #session: MqttSession | undefined;
  #cutAt: number | undefined;

  constructor(options: {
    readonly id: string;
    readonly fingerprint: string;
    readonly folder: DeviceFolder;
    readonly roots: readonly string[];
    readonly watch: Stopwatch;
  }) {
    this.id = options.id;
    this.fingerprint = options.fingerprint;
    this.#folder = options.folder;
    this.#roots = options.roots;
    this.#watch = options.watch;
  }

  /** When its session was cut, by `performance.now()`; undefined while it lives. */
  get cutAt(): number | undefined {
    return this.#cutAt;
  }

  /** Resolves when the present session ends. */
  get ended(): Promise<void> {
    return this.#session?.ended ?? Promise.resolve();
  }

  async bootstrap(): Promise<void> {
    const { identity, trust, url } = await this.#folder.factoryFiles();
    const anchors = [trust, ...this.#roots].join('\n');
    const handoff = await this.#step('bootstrap', () => requestHandoff({ url, identity, trust: anchors }));
    if (handoff.kind !== 'bundle') throw new Error('claimed, yet told to wait');
    const { bundle } = handoff;
    this.#bundle = { ...bundle, trustAnchors: [...bundle.trustAnchors, ...this.#roots] };
  }

  async enrol(): Promise<void> {
    const { est, account, deviceId } = this.#handedOver();
    const { identity } = await this.#folder.factoryFiles();
    const request = { key: newKey(), account, deviceId, username: est.username, grant: est.grant, identity };
    this.#identity = await this.#step('enrol', () => enroll(this.#est(), request));
  }

  async connect(step: 'connect' | 'reconnect' = 'connect'): Promise<void> {
    const bundle = this.#handedOver();
    const session = await this.#step(step, () => openMqttSession(bundle, this.#enrolled()));
    this.#session = session;
    this.#cutAt = undefined;
    void session.ended.then(() => {
      if (this.#session === session) this.#cutAt = performance.now();
    });
  }

  async publish(): Promise<void> {
    const session = this.#session;
    if (session === undefined) throw new Error('not connected');
    const reading = JSON.stringify({ celsius: 20 + Math.random() * 5 });
    await this.#watch.time('publish', () => session.publish(['telemetry'], reading));
  }

  /** Renews with a new key, and comes back with it: that contact promotes the key. */
  async renew(): Promise<void> {
    const identity = this.#enrolled();
    const key = newKey();
    this.#identity = await this.#step('renew', () => reenroll(this.#est(), { key, identity }));
    await this.disconnect();
    await this.connect('reconnect');
  }

  /** A device that was shut out must not get in again. */
  async isShutOut(): Promise<boolean> {
    try {
      await using _session = await patiently(() => openMqttSession(this.#handedOver(), this.#enrolled()));
      return false;
    } catch (error) {
      if (error instanceof AgentError && error.code === 'refused') return true;
      throw error;
    }
  }

  async disconnect(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.[Symbol.asyncDispose]();
  }

  #step<T>(name: string, run: () => Promise<T>): Promise<T> {
    return this.#watch.time(name, () => patiently(run));
  }

  #est() {
    const { est, trustAnchors } = this.#handedOver();
    return { url: est.url, label: est.label, trust: trustAnchors.join('\n') };
  }

  #handedOver(): Bundle {
    if (this.#bundle === undefined) throw new Error('no handoff yet');
    return this.#bundle;
  }

  #enrolled(): Identity {
    if (this.#identity === undefined) throw new Error('not enrolled yet');
    return this.#identity;
  }
}

/** As a device does: what passes (a service that is unavailable, or busy) is tried again, when the answer says. */
async function patiently<T>(run: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (let failures = 0; ; failures++) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof AgentError) || !error.isPassing || performance.now() > until) throw error;
      await pause((error.retryAfter ?? 0) * 1000 + jittered(failures, 250, 5000));
    }
  }
}

function newKey(): string {
  return generateKeyPair('P-256').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
