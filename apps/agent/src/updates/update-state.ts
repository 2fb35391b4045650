import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { DeviceFolder } from '../device-folder.ts';
import { reading } from '../identity.ts';

/** How an update ended, as it is told. */
export const Outcome = z.object({
  event: z.enum(['EcuDownloadCompleted', 'EcuInstallationCompleted']),
  success: z.boolean(),
  details: z.string().optional(),
});
export type Outcome = z.infer<typeof Outcome>;

/** What the device knows of one artifact. */
const UpdateState = z.object({
  /** The version that is in place. */
  applied: z.string().optional(),
  /** The last entry that was begun. */
  last: z
    .object({
      /** SHA-256 of the entry: another entry is another try. */
      entry: z.string(),
      /** The ids of its events follow from this one: told twice, they are kept once. */
      id: z.uuid(),
      outcome: Outcome.optional(),
      told: z.boolean().default(false),
    })
    .optional(),
});
export type UpdateState = z.infer<typeof UpdateState>;
const UpdateStates = z.record(z.string(), UpdateState);
type UpdateStates = z.infer<typeof UpdateStates>;

/** @throws AgentError `broken-folder` */
export async function stateOf(folder: DeviceFolder, name: string): Promise<UpdateState> {
  const states = await readStates(folder);
  return (Object.hasOwn(states, name) ? states[name] : undefined) ?? {};
}

async function readStates(folder: DeviceFolder): Promise<UpdateStates> {
  const path = pathOf(folder);
  const text = await folder.files.read(path);
  return text === undefined ? {} : reading(path, 'broken', () => UpdateStates.parse(JSON.parse(text)));
}

export async function putState(folder: DeviceFolder, name: string, state: UpdateState): Promise<void> {
  const states = { ...(await readStates(folder)), [name]: state };
  await folder.files.replace(pathOf(folder), `${JSON.stringify(states)}\n`);
}

/** A UUID (RFC 9562 §5.8), always the same for the same update and kind of news. */
export function eventId(id: string, news: string): string {
  const bytes = createHash('sha256').update(`${id}/${news}`).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function pathOf(folder: DeviceFolder): string {
  return join(folder.path, 'updates', 'state.json');
}
