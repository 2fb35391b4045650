import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ArtifactEntry, ArtifactStatement, UPDATES_FILE } from '@signet/contracts';
import { z } from 'zod';
import type { DeviceFolder } from '../device-folder.ts';

/** What the config asks for; `fault` where that cannot be done, and why. */
export type Wanted = {
  readonly name: string;
  readonly version: string;
  /** SHA-256 of what the config says of it. */
  readonly digest: string;
} & ({ readonly entry: ArtifactEntry } | { readonly fault: string });

const Named = ArtifactStatement.pick({ name: true, version: true });

/** The artifacts of the config, in its order. An entry that names nothing stands for the file itself. */
export async function wantedArtifacts(folder: DeviceFolder): Promise<readonly Wanted[]> {
  const text = await folder.files.read(join(folder.path, 'config', UPDATES_FILE));
  if (text === undefined || text.trim() === '') return [];
  const whole = (fault: string): Wanted[] => {
    const digest = digestOf(text);
    return [{ name: UPDATES_FILE, version: digest.slice(0, 16), digest, fault: `${UPDATES_FILE}: ${fault}` }];
  };
  const entries = z.array(z.unknown()).max(100).safeParse(parsed(text)).data;
  if (entries === undefined) return whole('no JSON array of artifacts');
  const named = entries.map((entry) => Named.safeParse(entry).data);
  const nameless = named.indexOf(undefined);
  if (nameless >= 0) return whole(`entry ${nameless + 1}: no name or version that can be used`);
  if (new Set(named.map((of) => of?.name)).size < named.length) return whole('a name stands there twice');
  return entries.map((one) => {
    const { name, version } = Named.parse(one);
    const digest = digestOf(JSON.stringify(one));
    const checked = ArtifactEntry.safeParse(one);
    if (checked.success) return { name, version, digest, entry: checked.data };
    return { name, version, digest, fault: faultOf(checked.error) };
  });
}

/** The field and what is wrong with it; our own messages name the field themselves. */
function faultOf({ issues: [issue] }: z.ZodError): string {
  const { path = [], message = '' } = issue ?? {};
  const field = path.join('.');
  return message.startsWith(`${field}: `) ? message : `${field}: ${message}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
