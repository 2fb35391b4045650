import type { Settings } from '../settings.ts';

const PORT = 8444;
const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);

/**
 * Where devices find the bootstrap service unless said otherwise: where the platform of the data folder has it, else on
 * the machine of the API, at its usual port.
 */
export function bootstrapUrlAt({ url, running }: Pick<Settings, 'url' | 'running'>): string {
  if (running !== undefined) return running.bootstrap;
  const { hostname } = new URL(url);
  return `https://${loopback.has(hostname) ? 'localhost' : hostname}:${PORT}`;
}
