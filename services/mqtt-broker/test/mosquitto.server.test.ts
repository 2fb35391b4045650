import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { TestIdentity } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, openBrokerFixture, until } from './fixture.ts';

const mosquitto = requireServer('mosquitto');

let broker: BrokerFixture;
let directory: string;
beforeEach(async () => {
  broker = await openBrokerFixture();
  directory = await mkdtemp(join(tmpdir(), 'signet-mosquitto-'));
});
afterEach(async () => {
  await broker[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function args(identity: TestIdentity, deviceId: string): Promise<string[]> {
  const write = async (name: string, text: string) => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  return [
    ...['-h', 'localhost', '-p', String(broker.port), '-V', 'mqttv311', '-q', '1', '-i', deviceId],
    ...['--cafile', await write('ca.pem', broker.fixture.pki.trustAnchors)],
    ...['--cert', await write('cert.pem', identity.cert), '--key', await write('key.pem', identity.key)],
  ];
}

describe.skipIf(mosquitto === '')('mosquitto, a client that we did not write', () => {
  it('publishes to the bus, and is refused with another device id', async () => {
    const { pki, deps } = broker.fixture;
    const heard: string[] = [];
    await deps.bus.listen('signet.mqtt.acme.dev-1.up.>', ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    const run = promisify(execFile);
    const identity = pki.operational('acme', 'dev-1');
    const message = ['-t', 'd/acme/dev-1/up/x', '-m', '21'];
    await run(mosquitto, [...(await args(identity, 'dev-1')), ...message], { timeout: 15_000 });
    expect(heard).toEqual(['21']);
    await expect(
      run(mosquitto, [...(await args(identity, 'dev-2')), ...message], { timeout: 15_000 }),
    ).rejects.toMatchObject({ code: 2 });
  });

  it('F72: subscribes, receives, and is cut off when its device is denied', async () => {
    const identity = broker.fixture.pki.operational('acme', 'dev-1');
    const child = spawn(
      join(dirname(mosquitto), 'mosquitto_sub'),
      [...(await args(identity, 'dev-1')), '-t', 'd/acme/dev-1/down/#'],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const exited = once(child, 'exit');
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    try {
      await broker.event('DEVICE_CONNECTED');
      await until(async () => {
        await broker.fixture.deps.bus.send('signet.mqtt.acme.dev-1.down.x', Buffer.from('hello'));
        expect(output).toContain('hello');
      });
      await broker.fixture.deny({ kind: 'device', account: 'acme', deviceId: 'dev-1' });
      const { data } = await broker.event('DEVICE_DISCONNECTED');
      expect(data.reason).toBe('denied');
    } finally {
      child.kill();
      await exited;
    }
  });
});
