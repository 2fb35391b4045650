import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const optionsOf = (file: string) =>
  [...readFileSync(file, 'utf8').matchAll(/[oO]ption\(\s*'--([a-z-]+)/g)].map(([, name]) => name);

/** The program takes its options wherever they stand, so a command with one of the same name would never get it. */
it('`signet denylist add --fingerprint …` reaches the command: no command has an option of the program itself', () => {
  const taken = optionsOf(join(import.meta.dirname, 'program.ts'));
  expect(taken).toContain('account');
  const folder = join(import.meta.dirname, 'commands');
  const shadowed = readdirSync(folder).flatMap((file) =>
    optionsOf(join(folder, file)).flatMap((name) => (taken.includes(name) ? [`${file}: --${name}`] : [])),
  );
  expect(shadowed).toEqual([]);
});
