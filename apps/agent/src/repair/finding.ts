import { relative } from 'node:path';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';

/** What repair does about a file, said before it is done. */
export type Remedy = { readonly says: string; readonly apply: () => Promise<void> };

/** A file of the device folder that is missing, unreadable or wrong. */
export type Finding = {
  /** Its name in the device folder. */
  readonly file: string;
  readonly reason: string;
  /** Nothing more can be said of the file before this is mended. */
  readonly unreadable?: true;
} & ({ readonly remedy: Remedy } | { /** What only people can do. */ readonly advice: string });

/** Where repair keeps what it takes out of use: nothing is thrown away. */
export const SET_ASIDE = 'set-aside';

/**
 * Why a file cannot be used, if this reading of it fails; the reason stands without the file's path. What fails because
 * of another file is that one's finding.
 */
export async function faultOf(
  folder: DeviceFolder,
  file: string,
  read: () => Promise<unknown>,
): Promise<string | undefined> {
  const fault = await anyFault(folder, read);
  return fault === undefined || fault.file !== file ? undefined : fault.reason;
}

/** The file that a reading fails for, and why. */
export async function anyFault(
  folder: DeviceFolder,
  read: () => Promise<unknown>,
): Promise<{ readonly file: string; readonly reason: string } | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    if (error.code !== 'broken-folder' && error.code !== 'not-a-device-folder') throw error;
    const [path = '', reason] = splitAt(error.message, ': ');
    return { file: relative(folder.path, path), reason };
  }
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}
