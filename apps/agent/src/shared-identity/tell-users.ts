import { join } from 'node:path';
import { z } from 'zod';
import type { HandlerRules } from '../config/handlers.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { digestsOf, parts } from './contents.ts';
import { parseUsers, tellUser } from './users.ts';
import type { Contents } from './versioned-folder.ts';

/** What each user was told of last. */
const Told = z.record(z.string(), z.object({ certificate: z.string(), trust: z.string(), crl: z.string() }));

export type TellResult = { readonly name: string; readonly success: boolean; readonly details: string };

/**
 * Tells every user what has changed since it was told last; who could not be told is told at the next call, also after a
 * power cut. @throws AgentError `bad-users`, `disk`
 */
export async function tellUsers(
  folder: DeviceFolder,
  shared: { readonly path: string; readonly contents: Contents },
  rules: HandlerRules,
): Promise<readonly TellResult[]> {
  const text = await folder.files.read(join(folder.path, 'users.json'));
  if (text === undefined) return [];
  const users = parseUsers(text);
  const told = await toldSoFar(folder);
  const digests = digestsOf(shared.contents);
  const results: TellResult[] = [];
  for (const user of users) {
    const changed = parts.filter((part) => digests[part] !== told[user.name]?.[part]);
    const isConcerned = changed.some((part) => user.on.includes(part));
    if (isConcerned) {
      const news = { folder: join(shared.path, 'current'), changed };
      const { success, output } = await tellUser(user, news, rules);
      results.push({ name: user.name, success, details: output.trim() });
      if (!success) continue;
    }
    if (changed.length === 0) continue;
    told[user.name] = digests;
    await folder.files.replace(toldFile(folder), `${JSON.stringify(told)}\n`);
  }
  return results;
}

/** What cannot be read was never told: being told twice does no harm. */
async function toldSoFar(folder: DeviceFolder): Promise<z.infer<typeof Told>> {
  try {
    return Told.parse(JSON.parse((await folder.files.read(toldFile(folder))) ?? '{}'));
  } catch {
    return {};
  }
}

function toldFile(folder: DeviceFolder): string {
  return join(folder.path, 'told.json');
}
