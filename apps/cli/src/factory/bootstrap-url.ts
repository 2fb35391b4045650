const PORT = 8444;
const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Where devices find the bootstrap service unless said otherwise: on the machine of the API, at its usual port. */
export function bootstrapUrlAt(apiUrl: string): string {
  const { hostname } = new URL(apiUrl);
  return `https://${loopback.has(hostname) ? 'localhost' : hostname}:${PORT}`;
}
