import { readForeignJson } from '@signet/contracts';
import { connectAsync, type MqttClient } from 'mqtt';

const CONTROL = '$CONTROL/dynamic-security/v1';
const ANSWER_MS = 10_000;

/** A command of mosquitto's dynamic security plugin, or what it says of one. */
export type ControlCommand = { readonly command: string } & Readonly<Record<string, unknown>>;
type Answer = { readonly command?: string; readonly error?: string; readonly data?: unknown };

/** mosquitto did not do what it was told. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code = 'refused';
}

/** The control channel of a mosquitto with its dynamic security plugin. One round is on its way at a time. */
export class ControlChannel implements AsyncDisposable {
  readonly #client: MqttClient;
  #answered = Promise.withResolvers<readonly Answer[]>();

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('error', () => undefined);
    client.on('message', (_, payload) => {
      try {
        const { responses = [] } = readForeignJson(payload, 'mosquitto') as { responses?: readonly Answer[] };
        this.#answered.resolve(responses);
      } catch (error) {
        // nobody may be waiting
        this.#answered.promise.catch(() => undefined);
        this.#answered.reject(error);
      }
    });
  }

  /** `url` with name and password of a client that has the plugin's `admin` role. @throws where it is not let in */
  static async connect(url: string): Promise<ControlChannel> {
    const client = await connectAsync(url, { reconnectPeriod: 0, connectTimeout: ANSWER_MS });
    const channel = new ControlChannel(client);
    try {
      await client.subscribeAsync(`${CONTROL}/response`, { qos: 1 });
      return channel;
    } catch (error) {
      await channel[Symbol.asyncDispose]();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#client.connected;
  }

  /** @returns the data of each answer, in order. @throws ControlError where one of the commands is refused */
  async send(commands: readonly ControlCommand[]): Promise<readonly unknown[]> {
    this.#answered = Promise.withResolvers();
    const timer = setTimeout(
      () => this.#answered.reject(new ControlError('mosquitto: its control channel does not answer')),
      ANSWER_MS,
    );
    try {
      await this.#client.publishAsync(CONTROL, JSON.stringify({ commands }), { qos: 1 });
      const answers = await this.#answered.promise;
      for (const { command, error } of answers)
        if (error !== undefined) throw new ControlError(`mosquitto: ${command}: ${error}`);
      return answers.map(({ data }) => data);
    } finally {
      clearTimeout(timer);
      this.#answered.promise.catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}
