import { join } from 'node:path';
import type { CommandStatement } from '@signet/contracts';
import { z } from 'zod';
import type { DeviceFolder } from '../device-folder.ts';
import { reading } from '../identity.ts';
import { CommandRefused } from './command-refused.ts';

const Memory = z.object({
  /** Unix seconds, grows only: what expired by then is refused, and its id need not be kept. */
  floor: z.number(),
  /** `exp` of each command that was taken, by its id. */
  ids: z.record(z.string(), z.number()),
});
type Memory = z.infer<typeof Memory>;

const MOST_IDS = 1000;

/**
 * The commands that a device has taken (`commands.json` of its folder), so that it takes each once: also after a power
 * cut, and with a clock that was set back or never set, since what is forgotten counts as expired by the memory itself.
 */
export class SeenCommands {
  readonly #folder: DeviceFolder;
  readonly #most: number;

  constructor(folder: DeviceFolder, most = MOST_IDS) {
    this.#folder = folder;
    this.#most = most;
  }

  /**
   * Resolves when the disk has it: from then on the same command is refused. One call at a time.
   * @throws CommandRefused `replayed`, `expired`; AgentError `broken-folder`
   */
  async take({ id, iat, exp }: CommandStatement): Promise<void> {
    const { floor, ids } = await this.#read();
    if (Object.hasOwn(ids, id)) throw new CommandRefused('replayed', 'id: it was taken before', { id });
    if (exp <= floor) throw new CommandRefused('expired', 'exp: before that of commands taken since', { id });
    await this.#write(this.#bounded({ floor: Math.max(floor, iat), ids: { ...ids, [id]: exp } }));
  }

  /** Without those that have expired; of too many, those that end first are declared expired. */
  #bounded({ floor, ids }: Memory): Memory {
    const kept = Object.entries(ids)
      .filter(([, exp]) => exp > floor)
      .sort(([, a], [, b]) => b - a);
    const [first] = kept.slice(this.#most);
    if (first === undefined) return { floor, ids: Object.fromEntries(kept) };
    const [, end] = first;
    return { floor: end, ids: Object.fromEntries(kept.filter(([, exp]) => exp > end)) };
  }

  async #read(): Promise<Memory> {
    const text = await this.#folder.files.read(this.#path);
    if (text === undefined) return { floor: 0, ids: {} };
    return reading(this.#path, 'broken', () => Memory.parse(JSON.parse(text)));
  }

  #write(memory: Memory): Promise<void> {
    return this.#folder.files.replace(this.#path, `${JSON.stringify(memory)}\n`);
  }

  get #path(): string {
    return join(this.#folder.path, 'commands.json');
  }
}
