import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Attack } from './attack.ts';

export type Case = { readonly name: string; readonly attack: Attack };

const folder = join(import.meta.dirname, 'cases');

/** Every module of `cases/`, in the order of the advisories. @throws Error naming a module that exports no attack */
export async function loadCases(): Promise<readonly Case[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts'));
  const cases = await Promise.all(
    files.map(async (file) => {
      const module = (await import(pathToFileURL(join(folder, file)).href)) as { readonly attack?: Attack };
      if (module.attack === undefined) throw new Error(`tests/attacks/cases/${file}: exports no "attack"`);
      return { name: file.slice(0, -'.ts'.length), attack: module.attack };
    }),
  );
  return cases.toSorted((a, b) => a.attack.number - b.attack.number || (a.name < b.name ? -1 : 1));
}
