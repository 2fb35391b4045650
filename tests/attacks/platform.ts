import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventLog, type LogLine, OperatorClient, trustAnchors } from '@signet/dev-env';
import { StandaloneProcess } from '@signet/standalone/testing';
import type { OwnTarget, Target } from './attack.ts';

const ATTACKED = { SIGNET_BIND: '127.0.0.1', SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' };

type Running = Pick<Target, 'ports' | 'operator' | 'events' | 'roots'>;

/** The platform as a process of its own, on free ports and on a data folder that is removed at the end. */
export class AttackedPlatform implements OwnTarget, AsyncDisposable {
  readonly dataDir: string;
  readonly folder: string;
  readonly #root: string;
  readonly #environment: Readonly<Record<string, string>>;
  #process: StandaloneProcess | undefined;
  #ports: Target['ports'] | undefined;
  #running: Running | undefined;

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<AttackedPlatform> {
    const platform = new AttackedPlatform(await mkdtemp(join(tmpdir(), 'signet-attacked-')), environment);
    try {
      await platform.start();
    } catch (error) {
      await platform[Symbol.asyncDispose]();
      throw error;
    }
    return platform;
  }

  private constructor(root: string, environment: Readonly<Record<string, string>>) {
    this.#root = root;
    this.#environment = environment;
    this.dataDir = join(root, 'data');
    this.folder = join(root, 'attacker');
  }

  get ports(): Target['ports'] {
    return this.#now.ports;
  }

  get operator(): OperatorClient {
    return this.#now.operator;
  }

  get events(): EventLog {
    return this.#now.events;
  }

  get roots(): string {
    return this.#now.roots;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the platform is stopped');
    return pid;
  }

  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#process !== undefined) throw new Error('the platform runs already');
    const started = new StandaloneProcess(this.dataDir, {
      ...ATTACKED,
      ...(this.#ports === undefined ? {} : samePorts(this.#ports)),
      ...this.#environment,
      ...environment,
    });
    this.#process = started;
    await started.ready();
    const port = (name: string, nth = 0) => Number(new URL(started.url(name, nth)).port);
    const token = (await readFile(join(this.dataDir, 'admin-token'), 'utf8')).trim();
    const operator = new OperatorClient({ url: new URL(started.url('operators')).origin, token });
    this.#ports = {
      est: port('est'),
      http: port('crl'),
      mqtt: port('mqtt'),
      mqttProvisioning: port('mqtt', 1),
      gateway: port('gateway'),
      bootstrap: port('bootstrap'),
      admin: port('operators'),
      health: port('health'),
    };
    this.#running = {
      ports: this.#ports,
      operator,
      events: new EventLog(operator),
      roots: await trustAnchors(operator),
    };
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#running?.events[Symbol.asyncDispose]();
    await this.#process?.stop(signal);
    this.#process = undefined;
    this.#running = undefined;
  }

  async log(): Promise<readonly LogLine[]> {
    return await readLog(this.dataDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#root, { recursive: true, force: true });
  }

  get #now(): Running {
    if (this.#running === undefined) throw new Error('the platform is stopped');
    return this.#running;
  }
}

/** What makes a platform come back where it was, so that devices find it. */
function samePorts(ports: Target['ports']): Record<string, string> {
  return {
    SIGNET_EST_PORT: String(ports.est),
    SIGNET_EST_HTTP_PORT: String(ports.http),
    SIGNET_MQTT_PORT: String(ports.mqtt),
    SIGNET_MQTT_PROVISIONING_PORT: String(ports.mqttProvisioning),
    SIGNET_GATEWAY_PORT: String(ports.gateway),
    SIGNET_BOOTSTRAP_PORT: String(ports.bootstrap),
    SIGNET_ADMIN_PORT: String(ports.admin),
    SIGNET_HEALTH_PORT: String(ports.health),
    SIGNET_EST_URL: `https://localhost:${ports.est}`,
    SIGNET_MQTT_URL: `mqtts://localhost:${ports.mqtt}`,
    SIGNET_GATEWAY_URL: `https://localhost:${ports.gateway}`,
  };
}

/** The lines of `signet.log` in a data folder; a line that is still being written is left out. */
export async function readLog(dataDir: string): Promise<readonly LogLine[]> {
  const text = await readFile(join(dataDir, 'signet.log'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
}
