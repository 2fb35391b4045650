import { resolve } from 'node:path';
import type { Platform, StandaloneConfig } from './app.ts';

/** What a person sees at the start: where all is, and what to type next. The token is shown at the first start only. */
export function greeting(
  config: StandaloneConfig,
  { ports, admin }: Platform,
  healthPort: number,
  token: string | undefined,
): string {
  const host = config.SIGNET_SERVER_NAMES[0] ?? 'localhost';
  const rows = [
    ['bootstrap', `https://${host}:${ports.bootstrap}`, 'bootstrap certificates (mutual TLS)'],
    ['est', `https://${host}:${ports.est}/.well-known/est`, 'enrolment and renewal'],
    ['mqtt', `mqtts://${host}:${ports.mqtt}`, 'operational certificates'],
    [
      'mqtt',
      `mqtts://${host}:${ports.mqttProvisioning}`,
      'provisioning: bootstrap certificates with a password',
    ],
    ['gateway', `https://${host}:${ports.gateway}`, 'device gateway (operational certificates)'],
    ['crl', `http://${host}:${ports.http}`, 'CRLs and CA certificates'],
    ['operators', `${admin.url}/v1`, `OpenAPI at ${admin.url}/openapi.json`],
    ['health', `http://127.0.0.1:${healthPort}/ready`, 'readiness and metrics'],
  ];
  const file = admin.firstToken.file;
  return [
    '',
    'Signet is ready.',
    '',
    ...rows.map(([name = '', url = '', what = '']) => `  ${name.padEnd(10)} ${url.padEnd(44)} ${what}`),
    '',
    `  data       ${resolve(config.SIGNET_DATA_DIR)}`,
    ...(token === undefined ? [] : [`  admin token (shown once) ${token}`]),
    ...(file === undefined ? [] : [`  the token lies in ${file} (mode 0600)`]),
    '',
    'Try next, in a second terminal:',
    '  npm run demo',
    '  npx signet factory sign --new dev-1',
    '  npx signet status',
    '',
  ].join('\n');
}
