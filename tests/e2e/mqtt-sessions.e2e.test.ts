import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../attacks/attack.ts';
import { type MadeDevice, onboardDevice } from '../attacks/device.ts';
import { AttackedPlatform } from '../attacks/platform.ts';

let platform: AttackedPlatform;
let device: MadeDevice;
beforeAll(async () => {
  platform = await AttackedPlatform.start();
  device = await onboardDevice(platform, 'sessions', 'sleeper');
}, 120_000);
afterAll(() => platform?.[Symbol.asyncDispose]());

type Connection = { readonly client: MqttClient; readonly isPresent: boolean; readonly names: string[] };

/** Connects as the device, and notes the names of all commands that come, from the first packet on. */
async function connectDevice(): Promise<Connection> {
  const identity = await device.folder.operational();
  if (identity === undefined) throw new Error('the device has no certificate');
  const client = connect(`mqtts://localhost:${platform.ports.mqtt}`, {
    ...{ ca: platform.roots, key: identity.key, cert: identity.certificate },
    ...{ clientId: device.id, clean: false, reconnectPeriod: 0 },
  });
  client.on('error', () => {});
  const names: string[] = [];
  client.on('message', (_topic, jws) => {
    const statement = Buffer.from(jws.toString().split('.')[1] ?? '', 'base64url');
    names.push((JSON.parse(statement.toString()) as { name: string }).name);
  });
  const isPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent));
    client.once('close', () => reject(new Error('closed before CONNACK')));
  });
  return { client, isPresent, names };
}

const command = (n: number) =>
  platform.operator.post(`/v1/accounts/${device.account}/devices/${device.id}/commands`, {
    ...{ name: `do-${n}`, payload: {}, expiresInSeconds: 3600 },
  });

describe('commands for a device that is offline, on the platform in one process', () => {
  it.each([
    ['is killed with -9', 'SIGKILL'],
    ['is stopped', 'SIGTERM'],
  ] as const)('are there, once and in order, after it %s and started again', async (_, signal) => {
    const { client } = await connectDevice();
    await client.subscribeAsync([`d/${device.account}/${device.id}/down/#`], { qos: 1 });
    await client.endAsync();
    for (const n of [1, 2]) await command(n);
    await platform.stop(signal);
    await platform.start();
    await command(3);
    const back = await connectDevice();
    expect(back.isPresent).toBe(true);
    await until(() => expect(back.names).toEqual(['do-1', 'do-2', 'do-3']));
    await back.client.endAsync();
    const again = await connectDevice();
    await command(4);
    await until(() => expect(again.names).toEqual(['do-4']));
    await again.client.endAsync();
  });
});
