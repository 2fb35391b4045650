import { readFileSync } from 'node:fs';

/** How `npm start` starts the platform: what of Node's settings stands in its script. */
export function asStarted(): { readonly env: Record<string, string>; readonly execArgv: string[] } {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const words = (JSON.parse(text) as { scripts: { start: string } }).scripts.start.split(' ');
  const node = words.indexOf('node');
  return {
    env: Object.fromEntries(words.slice(0, node).map((setting) => setting.split('=') as [string, string])),
    execArgv: words.slice(node + 1).filter((word) => word.startsWith('--')),
  };
}
