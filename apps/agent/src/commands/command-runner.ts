import type { CommandResult, CommandStatement } from '@signet/contracts';
import { clockNow } from '../clock.ts';
import { type HandlerRules, runProgram } from '../config/handlers.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type { MqttSession } from '../mqtt-session.ts';
import { CommandRefused } from './command-refused.ts';
import { SeenCommands } from './seen-commands.ts';
import { verifyCommand } from './verify-command.ts';

export type CommandRunning = {
  readonly programs: HandlerRules;
  readonly done: (id: string, name: string, success: boolean) => void;
  readonly refused: (reason: string, id: string | undefined) => void;
};

const MOST_WAITING = 100;

/**
 * Does what signed commands say, one after the other, each at most once: the program of the command's name, with its
 * payload on standard input and `COMMAND_ID` in its environment. Results go out on `up/command`; what a lost connection
 * keeps back goes with the next one.
 */
export class CommandRunner implements AsyncDisposable {
  readonly #folder: DeviceFolder;
  readonly #options: CommandRunning;
  readonly #seen: SeenCommands;
  readonly #results: CommandResult[] = [];
  #session: Pick<MqttSession, 'publish'> | undefined;
  #last = Promise.resolve();
  #waiting = 0;
  #isOver = false;
  #isSending = false;

  constructor(folder: DeviceFolder, options: CommandRunning) {
    this.#folder = folder;
    this.#options = options;
    this.#seen = new SeenCommands(folder);
  }

  /** A message on `down/command`. */
  take(message: Buffer): void {
    if (this.#waiting >= MOST_WAITING) {
      this.#refuse(new CommandRefused('busy', `${MOST_WAITING} commands are waiting`));
      return;
    }
    this.#waiting++;
    this.#last = this.#last
      .then(() => (this.#isOver ? undefined : this.#obey(message.toString('utf8'))))
      .finally(() => this.#waiting--);
  }

  /** Results go out over this session from now on. */
  online(session: Pick<MqttSession, 'publish'>): void {
    this.#session = session;
    void this.#send();
  }

  async #obey(jws: string): Promise<void> {
    try {
      const command = await this.#accepted(jws);
      const { id, name, payload } = command;
      const input = { env: { COMMAND_ID: id }, stdin: JSON.stringify(payload ?? null) };
      const { success, output } = await runProgram([name], input, this.#options.programs);
      this.#options.done(id, name, success);
      this.#tell({ id, success, output });
    } catch (error) {
      this.#refuse(
        error instanceof CommandRefused
          ? error
          : new CommandRefused('device-fault', textOf(error), { cause: error }),
      );
    }
  }

  async #accepted(jws: string): Promise<CommandStatement> {
    const bundle = await this.#folder.bundle();
    if (bundle === undefined)
      throw new CommandRefused('no-command-certificate', 'bundle: the device has none');
    const command = verifyCommand(jws, bundle, clockNow());
    await this.#seen.take(command);
    return command;
  }

  #refuse({ code, message, id }: CommandRefused): void {
    this.#options.refused(`${code}: ${message}`, id);
    this.#tell({ ...(id === undefined ? {} : { id }), success: false, reason: code, detail: message });
  }

  #tell(result: CommandResult): void {
    if (this.#results.push(result) > MOST_WAITING) this.#results.shift();
    void this.#send();
  }

  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (let session = this.#session; session !== undefined; session = this.#session) {
        const [result] = this.#results;
        if (result === undefined) return;
        const isSent = await session.publish(['command'], JSON.stringify(result)).then(
          () => true,
          () => false,
        );
        if (isSent) this.#forget(result);
        else if (session === this.#session) this.#session = undefined;
      }
    } finally {
      this.#isSending = false;
    }
  }

  #forget(result: CommandResult): void {
    const at = this.#results.indexOf(result);
    if (at >= 0) this.#results.splice(at, 1);
  }

  /** Waits for the command that is being done; those that wait are dropped, and may be sent again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#last;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
