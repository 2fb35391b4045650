import { spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DenyTarget, denyTargets, liftTargets } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { freePort } from '@signet/tests/servers/start';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { eventOf, openTestFixture, type TestFixture } from './authority.ts';
import { OpensslCa } from './pki.ts';

const mosquitto = requireServer('mosquitto-broker');

const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 50 });
const device = (deviceId: string): DenyTarget => ({ kind: 'device', account: 'acme', deviceId });

/** The plugin's file with the one client that Debian's `mosquitto_ctrl dynsec init` would make. */
function administered(username: string, password: string): string {
  const salt = randomBytes(12);
  const hashed = pbkdf2Sync(password, salt, 101, 64, 'sha512').toString('base64');
  const may = (acltype: string, topic: string) => ({ acltype, topic, allow: true });
  const control = '$CONTROL/dynamic-security/#';
  const acls = ['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((type) =>
    may(type, control),
  );
  const client = { username, password: hashed, salt: salt.toString('base64'), iterations: 101 };
  return JSON.stringify({
    clients: [{ ...client, roles: [{ rolename: 'admin' }] }],
    roles: [{ rolename: 'admin', acls }],
    defaultACLAccess: {
      ...{ publishClientSend: false, publishClientReceive: true, subscribe: false, unsubscribe: true },
    },
  });
}

/** A mosquitto as an existing fleet has it: certificates, topics by an ACL file; and the plugin beside them. */
async function openMosquitto() {
  const ca = stack.use(await OpensslCa.create('/CN=Issuing CA'));
  for (const name of ['localhost', 'dev-1', 'dev-2', 'dev-3']) await ca.sign(name);
  const plugins = readdirSync('/usr/lib').map((name) => `/usr/lib/${name}/mosquitto_dynamic_security.so`);
  const [devices, control] = [await freePort(), await freePort()];
  const found = plugins.filter((path) => {
    try {
      return readdirSync(join(path, '..')).includes('mosquitto_dynamic_security.so');
    } catch {
      return false;
    }
  });
  await writeFile(join(ca.folder, 'dynsec.json'), administered('signet', 'secret'));
  await writeFile(join(ca.folder, 'acl'), 'pattern readwrite d/acme/%u/#\n');
  await writeFile(
    join(ca.folder, 'mosquitto.conf'),
    [
      ...['user root', `plugin ${found[0]}`, 'plugin_opt_config_file dynsec.json', 'acl_file acl'],
      `listener ${devices} 127.0.0.1`,
      ...['cafile ca.pem', 'certfile localhost.pem', 'keyfile localhost.key'],
      ...['require_certificate true', 'use_identity_as_username true'],
      `listener ${control} 127.0.0.1`,
    ].join('\n'),
  );
  const url = `mqtt://signet:secret@127.0.0.1:${control}`;
  const start = async () => {
    const child = spawn(mosquitto, ['-c', 'mosquitto.conf'], { cwd: ca.folder, stdio: 'ignore' });
    const stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    };
    stack.defer(stop);
    await until(async () => (await connectAsync(url, { reconnectPeriod: 0 })).endAsync());
    return stop;
  };
  const connect = async (name: string): Promise<MqttClient> => {
    const cert = await readFile(join(ca.folder, `${name}.pem`));
    const key = await readFile(join(ca.folder, `${name}.key`));
    const client = await connectAsync(`mqtts://localhost:${devices}`, {
      ...{ cert, key, ca: await ca.certificate, clientId: name, reconnectPeriod: 0, protocolVersion: 5 },
    });
    stack.defer(() => client.endAsync(true));
    return client;
  };
  return { url, start, connect };
}

/** Whether the device can do what it is there for. */
async function works(client: MqttClient, name: string): Promise<boolean> {
  try {
    await client.subscribeAsync(`d/acme/${name}/down/#`, { qos: 1 });
    await client.publishAsync(`d/acme/${name}/up/x`, '1', { qos: 1 });
    return true;
  } catch {
    return false;
  }
}

const deny = (fixture: TestFixture, ...ids: string[]) =>
  fixture.bus.request(denyTargets, {
    ...{ account: 'acme', targets: ids.map(device), reason: 'stolen', by: 'ada' },
  });

describe.skipIf(mosquitto === '')('mosquitto with its dynamic security plugin, under our authority', () => {
  it('F88: ends the live session of a device that is denied or blocked, and leaves it nothing to do until it is lifted; nobody else notices', async () => {
    const broker = await openMosquitto();
    const stop = await broker.start();
    const fixture = stack.use(await openTestFixture());
    await fixture.start({}, { SIGNET_MOSQUITTO_URL: broker.url, SIGNET_MOSQUITTO_ACCOUNT: 'acme' });
    const [one, two, three] = [
      await broker.connect('dev-1'),
      await broker.connect('dev-2'),
      await broker.connect('dev-3'),
    ];
    const closed = [one, two].map(
      (client) => new Promise<void>((resolve) => void client.once('close', resolve)),
    );
    expect(await works(one, 'dev-1')).toBe(true);
    await deny(fixture, 'dev-1');
    await closed[0];
    expect(await works(await broker.connect('dev-1'), 'dev-1')).toBe(false);
    await fixture.publish(eventOf('DEVICE_BLOCKED', 2, { reason: 'lost' }, 3));
    await closed[1];
    expect(await works(three, 'dev-3')).toBe(true);

    await fixture.bus.request(liftTargets, { account: 'acme', targets: [device('dev-1')], by: 'ada' });
    await until(async () => expect(await works(await broker.connect('dev-1'), 'dev-1')).toBe(true));
    expect(await works(await broker.connect('dev-2'), 'dev-2')).toBe(false);

    // what changes while the broker is unavailable holds when it is back
    await stop();
    await deny(fixture, 'dev-3');
    await fixture.publish(eventOf('DEVICE_UNBLOCKED', 2, {}, 4));
    await broker.start();
    await until(async () => expect(await works(await broker.connect('dev-3'), 'dev-3')).toBe(false));
    await until(async () => expect(await works(await broker.connect('dev-2'), 'dev-2')).toBe(true));
  }, 120_000);
});
