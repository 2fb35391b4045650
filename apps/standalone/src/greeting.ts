import { relative, resolve } from 'node:path';
import { originOf, publicHost } from '@signet/service';
import type { Platform, StandaloneConfig } from './app.ts';

/**
 * What a person sees at the start: where all is, and what to type next. The token is given at the first start and to a
 * terminal only; the log file only where it is one.
 */
export function greeting(facts: {
  readonly config: StandaloneConfig;
  readonly platform: Pick<Platform, 'ports' | 'admin'>;
  readonly healthPort: number;
  readonly token: string | undefined;
  readonly logFile: string | undefined;
}): string {
  const { config, healthPort, token, logFile } = facts;
  const { ports, admin } = facts.platform;
  const at = (scheme: string, port = 0) => originOf(scheme, publicHost(config.SIGNET_SERVER_NAMES), port);
  const listeners = [
    ['bootstrap', at('https', ports.bootstrap), 'bootstrap certificates (mutual TLS)'],
    ['est', `${at('https', ports.est)}/.well-known/est`, 'enrolment and renewal'],
    ['mqtt', at('mqtts', ports.mqtt), 'operational certificates'],
    ['mqtt', at('mqtts', ports.mqttProvisioning), 'bootstrap certificates with a password'],
    ['gateway', at('https', ports.gateway), 'device gateway (operational certificates)'],
    ['crl', at('http', ports.http), 'CRLs and CA certificates'],
    ['operators', `${admin.url}/v1`, `OpenAPI at ${admin.url}/openapi.json`],
    ...(admin.lastResort === undefined
      ? []
      : [
          ['', `sha256:${admin.lastResort}`, ''],
          [
            '',
            'No CA gave a certificate: trust this one by',
            '--api-fingerprint; npx signet status says why',
          ],
        ]),
    ['health', `http://127.0.0.1:${healthPort}/ready`, 'readiness; /metrics beside it'],
  ];
  const { file } = admin.firstToken;
  const kept = [
    ['data', resolve(config.SIGNET_DATA_DIR), ''],
    logFile === undefined
      ? ['log', 'standard output', '']
      : ['log', shown(logFile), 'warnings here too; SIGNET_LOG_LEVEL=info shows all here'],
    ...(file === undefined ? [] : [['token', shown(file), "the administrator's, mode 0600"]]),
    ...(token === undefined ? [] : [['', token, 'shown this once']]),
  ];
  const line = ([name = '', what = '', note = '']: readonly string[]) =>
    `  ${name.padEnd(10)} ${what.padEnd(46)} ${note}`.trimEnd();
  return [
    '',
    'Signet is ready.',
    '',
    ...listeners.map(line),
    '',
    ...kept.map(line),
    '',
    'Try next, in a second terminal:',
    '  npm run demo',
    '  npx signet factory sign --new dev-1',
    '  npx signet status',
    '',
  ].join('\n');
}

function shown(path: string): string {
  const near = relative('.', path);
  return near.startsWith('..') ? resolve(path) : near;
}
