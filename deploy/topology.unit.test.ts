import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commonConfig, parseConfig } from '@signet/service';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { serviceSchemas } from '../docs/generate/configuration.ts';
import { asProcesses, readTopology } from './topology.ts';

const repository = join(import.meta.dirname, '..');
const file = (path: string) => readFileSync(join(repository, path), 'utf8');
const topology = readTopology();
const schemas = await serviceSchemas();

test('the compose file runs every service, under the name of its folder, from the one image', () => {
  const folders = readdirSync(join(repository, 'services')).sort();
  expect(topology.map(({ name }) => name).sort()).toEqual(folders);
  for (const { name, command } of topology) expect(command).toEqual([name]);
});

describe.each(schemas)('the compose file gives $service', ({ service, schema }) => {
  const compose = topology.find(({ name }) => name === service);

  test('no variable that it does not know', () => {
    const known = new Set([...Object.keys(commonConfig.shape), ...Object.keys(schema.shape)]);
    expect(Object.keys(compose?.environment ?? {}).filter((variable) => !known.has(variable))).toEqual([]);
  });

  test('values that it takes', () => {
    expect(() => parseConfig(schema, compose?.environment ?? {})).not.toThrow();
  });

  test('a published port for each of its listeners, and no other', () => {
    const config = parseConfig(schema, compose?.environment ?? {});
    const own = Object.keys(schema.shape).filter(
      (key) => key.endsWith('_PORT') && key !== 'SIGNET_HEALTH_PORT',
    );
    expect([...(compose?.ports ?? [])].sort()).toEqual(own.map((key) => config[key]).sort());
  });
});

test('the image exposes what the compose file publishes, and the health port', () => {
  const exposed = /^EXPOSE (.+)$/m.exec(file('deploy/Dockerfile'))?.[1]?.split(' ').map(Number).sort();
  expect(exposed).toEqual([...topology.flatMap(({ ports }) => ports), 9464].sort());
});

test('every listener port of the topology is published once', () => {
  const ports = topology.flatMap(({ ports }) => ports);
  expect(new Set(ports).size).toBe(ports.length);
});

test('the image runs as nobody special, says whether it lives, and is of the Node release that we test on', () => {
  const dockerfile = file('deploy/Dockerfile');
  const { devDependencies } = JSON.parse(file('package.json')) as { devDependencies: { node: string } };
  expect(dockerfile).toContain(`FROM node:${devDependencies.node.split('.')[0]}-slim`);
  expect(dockerfile).toMatch(/^USER node$/m);
  expect(dockerfile).toMatch(/^HEALTHCHECK .*\n.*\/health/m);
});

test.each([[], ['nobody'], ['est-ca', 'bootstrap'], ['../libs']])(
  'the image refuses to start with %j',
  (...args) => {
    const result = spawnSync(join(repository, 'deploy', 'entrypoint.sh'), args, { encoding: 'utf8' });
    expect(result.status).toBe(2);
    expect(result.stderr).toContain('usage: signet <service>');
  },
);

test('what the compose file mounts is there', () => {
  const { services } = parse(file('docker-compose.yml'), { merge: true }) as {
    services: Record<string, { volumes?: string[] }>;
  };
  const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
    volumes.filter((volume) => volume.startsWith('./')),
  );
  expect(mounted.map((volume) => volume.split(':')[0] ?? '')).toSatisfy((paths: string[]) =>
    paths.every((path) => existsSync(join(repository, path))),
  );
});

describe('the topology as processes', () => {
  const plans = asProcesses(readTopology({ SIGNET_HOST: 'signet.example' }), {
    nats: 'nats://127.0.0.1:1',
    mongo: 'mongodb://127.0.0.1:2/',
    redis: 'redis://127.0.0.1:3',
    directory: '/somewhere',
    port: (standard, service) => (standard === 9464 ? 9000 + service.length : standard + 10_000),
  });
  const environment = (name: string) => plans.find((plan) => plan.name === name)?.environment;

  test('differs from the compose file in hosts, ports and folders alone', () => {
    expect(environment('bootstrap')).toMatchObject({
      SIGNET_STORE: 'mongodb://127.0.0.1:2/signet',
      SIGNET_BUS: 'nats://127.0.0.1:1',
      SIGNET_REDIS: 'redis://127.0.0.1:3',
      SIGNET_DATA_DIR: '/somewhere/bootstrap',
      SIGNET_BOOTSTRAP_PORT: '18444',
      SIGNET_EST_URL: 'https://signet.example:18443',
      SIGNET_MQTT_URL: 'mqtts://signet.example:18883',
      SIGNET_HEALTH_PORT: '9009',
      SIGNET_TRUST_DOMAIN: 'signet.local',
    });
    expect(environment('admin-api')).toMatchObject({
      SIGNET_ADMIN_BIND: '127.0.0.1',
      SIGNET_BIND: '127.0.0.1',
    });
  });

  test('starts each service by its own main.ts', () => {
    for (const { main } of plans) expect(existsSync(main), main).toBe(true);
  });
});
