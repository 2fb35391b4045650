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
  /** Unix seconds: what was issued by then is refused, since it is not known any more whether it was taken. */
  forgotten: z.number().optional(),
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
    const { floor, ids, forgotten } = await readSeenCommands(this.#folder);
    if (Object.hasOwn(ids, id)) throw new CommandRefused('replayed', 'id: it was taken before', { id });
    if (exp <= floor) throw new CommandRefused('expired', 'exp: before that of commands taken since', { id });
    if (forgotten !== undefined && iat <= forgotten)
      throw new CommandRefused('expired', 'iat: what was taken by then is not known any more', { id });
    const kept = forgotten === undefined ? {} : { forgotten };
    await write(
      this.#folder,
      this.#bounded({ ...kept, floor: Math.max(floor, iat), ids: { ...ids, [id]: exp } }),
    );
  }

  /** Without those that have expired; of too many, those that end first are declared expired. */
  #bounded({ floor, ids, ...rest }: Memory): Memory {
    const kept = Object.entries(ids)
      .filter(([, exp]) => exp > floor)
      .sort(([, a], [, b]) => b - a);
    const [first] = kept.slice(this.#most);
    if (first === undefined) return { ...rest, floor, ids: Object.fromEntries(kept) };
    const [, end] = first;
    return { ...rest, floor: end, ids: Object.fromEntries(kept.filter(([, exp]) => exp > end)) };
  }
}

/** @throws AgentError `broken-folder` */
export async function readSeenCommands(folder: DeviceFolder): Promise<Memory> {
  const path = pathOf(folder);
  const text = await folder.files.read(path);
  if (text === undefined) return { floor: 0, ids: {} };
  return reading(path, 'broken', () => Memory.parse(JSON.parse(text)));
}

/** What was taken is not known any more: all that was issued until now is refused. `now` in Unix ms. */
export function forgetCommands(folder: DeviceFolder, now: number): Promise<void> {
  const forgotten = Math.floor(now / 1000);
  return write(folder, { floor: 0, ids: {}, forgotten });
}

function write(folder: DeviceFolder, memory: Memory): Promise<void> {
  return folder.files.replace(pathOf(folder), `${JSON.stringify(memory)}\n`);
}

function pathOf(folder: DeviceFolder): string {
  return join(folder.path, 'commands.json');
}
