/** What differs from one run to the next, printed as an example in a guide. */
const differs: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?/g, '(time)'],
  [/\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/g, '(time)'],
  [/\b\d{4}-\d\d-\d\d\b/g, '(day)'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '(uuid)'],
  [/\b[0-9A-Z]{5}(-[0-9A-Z]{5}){3}\b/g, '(claim code)'],
  [/\b[0-9a-f]{16,}\b/gi, '(hex)'],
  [/-[0-9a-f]{8}\b/g, '-(hex)'],
  [/\b(sgn_|whsec_)[\w+/=-]+/g, '$1…'],
  [/\b\d+(\.\d+)? ?(ms|seconds?|minutes?|hours?|days?|s|min|h)\b/g, '(while)'],
  [/\b\d+\.\d\b/g, '(number)'],
  // columns are as wide as what is in them
  [/[─-]{3,}/g, '---'],
  [/[ \t]+/g, ' '],
];

/** What `npm run` says before it runs anything. */
const npmSays = /^\s*> .*\n> .*\n/;

/** A line without what differs from run to run. */
export function settle(line: string): string {
  return differs.reduce((text, [pattern, name]) => text.replace(pattern, name), line).trim();
}

/**
 * Whether a command printed what the page says: line by line, but for what differs from run to run. `…` stands for
 * anything within a line, and for any lines where it is alone on its line.
 */
export function printed(page: string, output: string): boolean {
  const lines = page.trim().split('\n').map(settle);
  const pattern = lines.map((line) => {
    if (line === '…') return '(?:[^\\n]*\\n)*?';
    const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return `${parts.join('[^\\n]*')}\\n`;
  });
  const got = output.replace(npmSays, '').trim().split('\n').map(settle).join('\n');
  return new RegExp(`^${pattern.join('')}$`).test(`${got}\n`);
}
