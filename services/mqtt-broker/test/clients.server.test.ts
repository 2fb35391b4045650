import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ForeignDevice, startForeignDevice } from '@signet/tests/clients/device';
import { requireServer } from '@signet/tests/servers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, openBrokerFixture, until } from './fixture.ts';

const python = requireServer('paho');
const rumqttc = requireServer('rumqttc');
const clients = [
  {
    name: 'paho-mqtt (Python)',
    command: [python, join(import.meta.dirname, '../../../tests/clients/paho/device.py')],
    isHere: python !== '',
  },
  { name: 'rumqttc (Rust)', command: [rumqttc], isHere: rumqttc !== '' },
];

let broker: BrokerFixture;
let directory: string;
let devices: AsyncDisposableStack;
/** What the bus hears of devices: subject behind `up.`, and how long the payload is. */
let heard: [string, number][];
beforeEach(async () => {
  broker = await openBrokerFixture();
  directory = await mkdtemp(join(tmpdir(), 'signet-clients-'));
  devices = new AsyncDisposableStack();
  heard = [];
  await broker.fixture.deps.bus.listen('signet.mqtt.acme.dev-1.up.>', ({ subject, payload }) => {
    heard.push([subject.slice('signet.mqtt.acme.dev-1.up.'.length), payload.length]);
  });
});
afterEach(async () => {
  await devices.disposeAsync();
  await broker[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function start(command: readonly string[]): Promise<ForeignDevice> {
  const write = async (name: string, text: string) => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const identity = broker.fixture.pki.operational('acme', 'dev-1');
  return devices.use(
    startForeignDevice(command, {
      ...{ host: 'localhost', port: broker.port, id: 'dev-1' },
      ca: await write('ca.pem', broker.fixture.pki.trustAnchors),
      cert: await write('cert.pem', identity.cert),
      key: await write('key.pem', identity.key),
    }),
  );
}

const says = (device: ForeignDevice, line: string | RegExp, times = 1) =>
  until(() => {
    const found = device.said.filter((said) => (typeof line === 'string' ? said === line : line.test(said)));
    expect(found.length, `${line} among:\n${device.said.join('\n')}`).toBeGreaterThanOrEqual(times);
  });
const send = (level: string, text: string) =>
  broker.fixture.deps.bus.send(`signet.mqtt.acme.dev-1.down.${level}`, Buffer.from(text));
const leftBy = (reason: string) => broker.event('DEVICE_DISCONNECTED', ({ data }) => data.reason === reason);

describe.each(clients)('a device on $name', ({ command, isHere }) => {
  it.skipIf(!isHere)(
    'connects with its certificate, publishes and receives at every QoS, and leaves',
    async () => {
      const device = await start(command);
      device.tell('connect', 1, 60);
      await says(device, 'connected\t0');
      for (const qos of [0, 1, 2]) {
        device.tell('subscribe', `d/acme/dev-1/down/q${qos}`, qos);
        await says(device, `subscribed\t${qos}`);
        device.tell('publish', `d/acme/dev-1/up/q${qos}`, qos, 0, 'up');
      }
      await says(device, 'published', 3);
      await until(() =>
        expect(heard.toSorted()).toEqual([
          ['q0', 2],
          ['q1', 2],
          ['q2', 2],
        ]),
      );
      for (const qos of [0, 1, 2]) await send(`q${qos}`, 'down');
      // what comes from the bus is QoS 1 at most
      await says(device, 'message\td/acme/dev-1/down/q0\t0\t4\tdown');
      for (const qos of [1, 2]) await says(device, `message\td/acme/dev-1/down/q${qos}\t1\t4\tdown`);
      device.tell('disconnect');
      await device.exited;
      expect((await leftBy('client')).data.deviceId).toBe('dev-1');
      expect(broker.events.some(({ type }) => type === 'DEVICE_REFUSED')).toBe(false);
    },
  );

  it.skipIf(!isHere)('sends and receives messages near the bound of a packet', async () => {
    const device = await start(command);
    device.tell('connect', 1, 60);
    device.tell('subscribe', 'd/acme/dev-1/down/#', 1);
    await says(device, 'subscribed\t1');
    for (const qos of [0, 1, 2]) device.tell('publish', `d/acme/dev-1/up/large${qos}`, qos, 250_000, 'large');
    await says(device, 'published', 3);
    await until(() => expect(heard.toSorted()).toEqual([0, 1, 2].map((qos) => [`large${qos}`, 250_000])));
    await send('large', 'x'.repeat(250_000));
    await says(device, /^message\td\/acme\/dev-1\/down\/large\t1\t250000\tx+$/);
  });

  it.skipIf(!isHere)('finds its session when it is back: what came meanwhile is there', async () => {
    const first = await start(command);
    first.tell('connect', 0, 60);
    await says(first, 'connected\t0');
    first.tell('subscribe', 'd/acme/dev-1/down/#', 1);
    await says(first, 'subscribed\t1');
    await first.kill();
    await leftBy('network');
    await send('a', 'first');
    await send('b', 'second');
    const second = await start(command);
    second.tell('connect', 0, 60);
    await says(second, 'connected\t1');
    await says(second, /^message/, 2);
    expect(second.said.filter((line) => line.startsWith('message'))).toEqual([
      'message\td/acme/dev-1/down/a\t1\t5\tfirst',
      'message\td/acme/dev-1/down/b\t1\t6\tsecond',
    ]);
  });

  it.skipIf(!isHere)('leaves its will where it is killed', async () => {
    const device = await start(command);
    device.tell('connect', 1, 60, 'd/acme/dev-1/up/gone', 1, 'bye');
    await says(device, 'connected\t0');
    await device.kill();
    await until(() => expect(heard).toEqual([['gone', 3]]));
  });

  it.skipIf(!isHere).each([0, 7200, 65_535])('connects with a keep-alive of %i s', async (seconds) => {
    const device = await start(command);
    device.tell('connect', 1, seconds);
    await says(device, 'connected\t0');
    device.tell('publish', 'd/acme/dev-1/up/x', 1, 0, 'x');
    await says(device, 'published');
  });

  it.skipIf(!isHere)(
    'is cut off after a topic that it may not publish to, reconnects and goes on',
    async () => {
      const device = await start(command);
      device.tell('connect', 0, 60);
      device.tell('subscribe', 'd/acme/dev-1/down/#', 1);
      await says(device, 'subscribed\t1');
      device.tell('publish', 'd/acme/dev-2/up/x', 0, 0, 'x');
      await says(device, /^disconnected/);
      await says(device, 'connected\t1');
      device.tell('publish', 'd/acme/dev-1/up/x', 1, 0, 'after');
      await until(() => expect(heard).toEqual([['x', 5]]));
      await send('x', 'here');
      await says(device, 'message\td/acme/dev-1/down/x\t1\t4\there');
      device.tell('subscribe', 'd/acme/dev-2/down/#', 1);
      await says(device, 'subscribed\t128');
      const { data } = await broker.event('DEVICE_REFUSED');
      expect(data.message).toBe(`publish: "d/acme/dev-2/up/x" is not below the device's own up/`);
    },
  );
});
