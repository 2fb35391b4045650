import { Child } from './child.ts';
import type { Device } from './device.ts';
import type { Scene } from './scene.ts';
import type { RunResult } from './tools.ts';

type ClientOptions = {
  /** Names the files of certificate and key; default `operational`. */
  readonly identity?: string;
  readonly clientId?: string;
  readonly port?: number;
  readonly more?: readonly string[];
};

/** mosquitto's clients, as a device runs them. */
export class Mosquitto {
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** `mosquitto_pub`, QoS 1: ends with 0 once the broker has acknowledged. */
  publish(device: Device, topic: string, text: string, options: ClientOptions = {}): Promise<RunResult> {
    const { run, tools } = this.#scene;
    const message = ['-t', topic, ...(text.length > 1000 ? ['-s'] : ['-m', text])];
    const input = text.length > 1000 ? text : undefined;
    return run(tools.mosquittoPub, [...this.#args(device, options), '-q', '1', ...message], input);
  }

  /** `mosquitto_sub`, resolved once the broker has answered the subscription. */
  async subscribe(device: Device, topic: string, options: ClientOptions = {}): Promise<Child> {
    const child = this.listen(device, topic, options);
    await child.line(/SUBACK/);
    return child;
  }

  /** `mosquitto_sub`, whether it gets in or not. */
  listen(device: Device, topic: string, options: ClientOptions = {}): Child {
    const args = [...this.#args(device, options), '-d', '-v', '-q', '1', '-t', topic];
    return new Child('stdbuf', ['-oL', this.#scene.tools.mosquittoSub, ...args]);
  }

  #args(device: Device, { identity = 'operational', clientId, port, more = [] }: ClientOptions): string[] {
    const { platform, rootFile } = this.#scene;
    return [
      ...['-h', 'localhost', '-p', String(port ?? platform.env.ports.mqtt), '--cafile', rootFile],
      ...['--cert', device.file(`${identity}.crt`), '--key', device.file(`${identity}.key`)],
      ...['-i', clientId ?? device.id, ...more],
    ];
  }
}
