import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from './support/child.ts';
import { requireServers, type Servers, startServers } from './support/servers.ts';
import { requireTools } from './support/tools.ts';

const examples = resolve(import.meta.dirname, '../../examples');
const binaries = requireServers();
const missing = Object.values({ ...requireTools(), ...binaries }).includes('');

describe.skipIf(missing)('examples', () => {
  let servers: Servers;
  let platform: Awaited<ReturnType<typeof startDevEnv>>;
  let env: Record<string, string>;

  beforeAll(async () => {
    servers = await startServers(binaries);
    const { nats, mongo, redis } = servers.urls;
    platform = await startDevEnv({ engines: { store: `${mongo}signet`, bus: nats, redis } });
    env = {
      SIGNET_URL: `http://127.0.0.1:${platform.ports.admin}`,
      SIGNET_BOOTSTRAP_URL: `https://localhost:${platform.ports.bootstrap}`,
      SIGNET_TOKEN: platform.operator.token,
    };
  });

  afterAll(async () => {
    await platform?.[Symbol.asyncDispose]();
    await servers?.[Symbol.asyncDispose]();
  });

  it('are all run here', async () => {
    expect((await readdir(examples)).sort()).toEqual([
      '01-follow-events.ts',
      '02-device.sh',
      // by tests/guides, as docs/guides/provisioning.md prints it
      '03-provision.ts',
      'api-server-nginx',
      'api-server-node',
      'factory-server',
      'installer-page',
    ]);
  });

  it('take a device to MQTT with openssl, curl and mosquitto alone, and follow it with an ordinary NATS client', async () => {
    await using device = new Child('bash', [join(examples, '02-device.sh'), 'dev-2'], { env });
    await device.line(/^dev-2 enrolled and said hello$/);
    expect(await device.exited).toBe(0);
    const follow = [join(examples, '01-follow-events.ts'), servers.urls.nats, 'DEVICE_CONNECTED', '1'];
    await using downstream = new Child(process.execPath, follow);
    expect(await downstream.line(/ DEVICE_CONNECTED /)).toContain(' default/dev-2 ');
    expect(await downstream.exited).toBe(0);
  });
});
