import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const repository = join(import.meta.dirname, '..', '..');

/** A word that only we would understand, and what everybody says. */
type Banned = { readonly pattern: RegExp; readonly say: string };

/** Short on purpose: words that were ours alone. What is a matter of taste belongs in a review. */
export const banned: readonly Banned[] = [
  { pattern: /\boctets?\b(?! string)/i, say: 'byte' },
  { pattern: /(?<!front[- ])\bdoors?\b/i, say: 'listener, or admission' },
  { pattern: /\b(?:is|are|was|were|be|been|being) away\b/i, say: 'unavailable; of a device: offline' },
  { pattern: /\bhand(?:ed|ing|s)?[- ]over\b(?!['"])/i, say: 'handoff, hand out, send' },
  { pattern: /\blet be\b/i, say: 'skip, leave' },
  { pattern: /\ball the same\b/i, say: 'anyway, nevertheless' },
  { pattern: /\bas (?:they|it|he|she) should\b/i, say: 'what should have happened' },
  { pattern: /\bspoilt\b/i, say: 'malformed, corrupt' },
  { pattern: /\bsees? to it\b/i, say: 'ensures' },
];

/** Where a banned word is meant: a clause that is quoted, a public name that stays. */
const allowed: readonly { readonly file: RegExp; readonly pattern: RegExp }[] = [
  { file: /^tests\/structure\/words/, pattern: /./ },
  // the names of files as they were
  { file: /^docs\/journeys\.md$/, pattern: /hand/ },
  // what ASN.1 and the TPM's structures call them
  { file: /^libs\/(?:pki|attestation|tpm)\//, pattern: /octets/ },
  // the former name of a field of JSON, for one release more
  { file: /^apps\/agent\/(?:src\/status|test\/messages-status\.service\.test)\.ts$/, pattern: /octets/ },
  // operation names on the bus, and the outcome in a metric: public
  { file: /^(?:libs\/contracts\/src\/operations|docs\/reference\/operations\.md)/, pattern: /hand/ },
];

export type Finding = {
  readonly file: string;
  readonly line: number;
  readonly word: string;
  readonly say: string;
};

/** Every banned word of a text. */
export function findBanned(file: string, text: string): readonly Finding[] {
  const rules = banned.filter(
    ({ pattern }) => !allowed.some((rule) => rule.file.test(file) && rule.pattern.test(pattern.source)),
  );
  return text.split('\n').flatMap((content, index) =>
    rules.flatMap(({ pattern, say }) => {
      const word = pattern.exec(content)?.[0];
      return word === undefined ? [] : [{ file, line: index + 1, word, say }];
    }),
  );
}

/** `npm run check:words`: fails where a file that a person reads has a banned word. The changelog's past stays as it is. */
if (import.meta.main) {
  const listed = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', '*.md', '*.ts', '*.yml', '*.sh'],
    {
      cwd: repository,
      encoding: 'utf8',
    },
  );
  const files = listed.split('\n').filter((file) => file !== '' && file !== 'CHANGELOG.md');
  const found = files.flatMap((file) => findBanned(file, read(file)));
  for (const { file, line, word, say } of found)
    process.stderr.write(`${file}:${line}: "${word}": say ${say}\n`);
  if (found.length > 0) process.exitCode = 1;
}

function read(file: string): string {
  try {
    return readFileSync(join(repository, file), 'utf8');
  } catch (error) {
    // removed in the work tree, and not committed yet
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
