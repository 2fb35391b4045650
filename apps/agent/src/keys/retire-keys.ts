import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ownError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { SET_ASIDE } from '../repair/finding.ts';

/** Files in which a key of the device stands. */
const KEYS = ['bootstrap.key', 'second.key', 'operational.pem', 'next.pem', 'pending.key'];

/**
 * Removes from the token what was made there for this device and stands in none of its files any more. Only names that
 * the folder has noted are touched: a token may hold the keys of others. While a rotation is under way nothing is
 * removed, so that an old key stays until the new one is proven. What fails now is done with the next rotation or start.
 */
export async function retireKeys(folder: DeviceFolder): Promise<void> {
  try {
    const made = await folder.tokenKeys();
    if (made.length === 0) return;
    const rotation = await folder.rotation();
    if (rotation !== undefined && rotation.step !== 'completed') return;
    const texts = await textsIn(folder);
    const kept: string[] = [];
    for (const name of made) {
      const isUsed = texts.some((text) => text.split('\n').some((line) => line.trim() === name));
      if (isUsed || !(await folder.keys.remove(name))) kept.push(name);
    }
    if (kept.length < made.length) await folder.putTokenKeys(kept);
  } catch (error) {
    if (ownError(error) === undefined) throw error;
  }
}

/** What repair has set aside counts too: nothing is lost by it. */
async function textsIn({ path, files }: DeviceFolder): Promise<string[]> {
  const aside = await readdir(join(path, SET_ASIDE)).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const texts: string[] = [];
  for (const name of [...KEYS, ...aside.map((each) => join(SET_ASIDE, each))])
    texts.push((await files.read(join(path, name))) ?? '');
  return texts;
}
