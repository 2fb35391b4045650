import { describeConfig, parseConfig } from '@signet/service';
import { standaloneConfig } from '@signet/standalone';
import { describe, expect, test } from 'vitest';
import { serviceSchemas } from '../../docs/generate/configuration.ts';

const schemas = [...(await serviceSchemas()), { service: 'npm start', schema: standaloneConfig }];
const usualPorts = new Map(
  describeConfig(standaloneConfig)
    .filter(({ variable }) => variable.endsWith('_PORT'))
    .map(({ variable, default: port }) => [port, variable] as const),
);

const followers = schemas.flatMap(({ service, schema }) =>
  describeConfig(schema).flatMap(({ variable, default: url = '' }) => {
    const port = URL.canParse(url) ? usualPorts.get(new URL(url).port) : undefined;
    return port === undefined ? [] : [{ service, schema, variable, port, url }];
  }),
);

test('every URL of a listener of ours is found', () => {
  expect(followers.filter(({ service }) => service === 'npm start').map(({ variable }) => variable)).toEqual(
    expect.arrayContaining([
      'SIGNET_EST_URL',
      'SIGNET_MQTT_URL',
      'SIGNET_GATEWAY_URL',
      'SIGNET_CRL_EXPORT_URL',
    ]),
  );
});

describe.each(followers)('$variable of $service', ({ schema, variable, port, url }) => {
  const read = (env: Record<string, string>) =>
    (parseConfig(schema as typeof standaloneConfig, env) as Record<string, unknown>)[variable];

  test('goes with its listener where that is moved, unless it is set', () => {
    expect(read({})).toBe(url);
    expect(read({ [port]: '12345' })).toBe(url.replace(/:\d+$/, ':12345'));
    expect(read({ [port]: '0' })).toBe(url);
    const elsewhere = url.replace('localhost', 'signet.example');
    expect(read({ [port]: '12345', [variable]: elsewhere })).toBe(elsewhere);
  });

  test('names the host that the server certificate is for', () => {
    const host = variable === 'SIGNET_CRL_EXPORT_URL' ? 'localhost' : 'signet.example';
    expect(read({ SIGNET_SERVER_NAMES: '*.x.example,signet.example' })).toBe(url.replace('localhost', host));
  });
});
